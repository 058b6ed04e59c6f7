// SPDX-License-Identifier: MIT
//
// Reads table files. Stateless.
#pragma once

#include <string>

namespace snapfs {

// The whole file. Throws TableError, at `path`, with the errno: missing,
// unreadable, not a regular file, more than kMaxTableBytes. Never waits, as
// opening a FIFO would.
std::string read_text_file(const std::string& path);

}  // namespace snapfs

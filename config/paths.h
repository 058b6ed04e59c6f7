// SPDX-License-Identifier: MIT
//
// What tables and users write, as absolute paths. Stateless.
#pragma once

#include <string>

namespace snapfs {

// A device as a table names it: a path, relative to `base_dir` unless it is
// absolute, or MAJOR:MINOR as dmsetup(8) takes it. Opens nothing; leaves `..`
// and symbolic links as they are. REQUIRES: base_dir is absolute.
std::string device_path(const std::string& base_dir, const std::string& text);

}  // namespace snapfs

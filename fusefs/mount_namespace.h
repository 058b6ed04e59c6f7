// SPDX-License-Identifier: MIT
//
// mount(8)'s -N.
#pragma once

#include <string>

namespace snapfs {

// Moves this process into another mount namespace: that of the process with
// this number, or of the namespace file at this path. Its working directory is
// the root directory there. REQUIRES: no threads. Throws std::system_error.
void enter_mount_namespace(const std::string& process_or_path);

}  // namespace snapfs

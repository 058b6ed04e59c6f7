// SPDX-License-Identifier: MIT
//
// fusermount3(1), which unmounts for users who may not. Thread-safe.
#pragma once

#include <string>

namespace snapfs {

// Runs `fusermount3 -u [-z]` and waits for it. False if that failed; it has
// said why on stderr.
bool fusermount_unmount(const std::string& mount_point, bool lazy = false);

}  // namespace snapfs

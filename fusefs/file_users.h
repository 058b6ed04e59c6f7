// SPDX-License-Identifier: MIT
//
// Who uses a file or a mount, as far as /proc and /sys tell. Touches no file
// itself, so a daemon may ask about files of the mount that it serves.
// Stateless. Processes that this one may not look at are missing.
#pragma once

#include <string>
#include <vector>

namespace snapfs {

// Loop devices on the file of this path (absolute and canonical) and processes
// that have it open: "attached to /dev/loop3, open in 42 (qemu)". Empty if
// nobody is found.
std::string file_users(const std::string& path);

// A line for each user of what is mounted here (absolute and canonical):
// "DIR/disk is attached to /dev/loop3", "DIR/disk is open in 42 (qemu)",
// "DIR is the working directory of 43 (bash)".
std::vector<std::string> mount_users(const std::string& mount_point);

}  // namespace snapfs

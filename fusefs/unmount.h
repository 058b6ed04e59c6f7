// SPDX-License-Identifier: MIT
//
// Unmounting as umount(8) is expected to: on return everything is on the
// devices, and the daemon has ended and given them up.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace snapfs {

struct UnmountOptions {
  std::string mount_point;
  bool lazy = false;   // detach now, end when the last user has gone
  bool force = false;  // do not ask the daemon for anything
  bool verbose = false;
  std::optional<std::string> mount_namespace;  // as MountOptions has it
};

// The command line of umount.fuse.snapfs, as umount(8) calls it, and of
// `snapfs umount`. Throws UsageError.
UnmountOptions parse_unmount_command(const std::vector<std::string>& arguments);

// Returns the exit status; errors have been logged.
int run_unmount(const UnmountOptions& options);

}  // namespace snapfs

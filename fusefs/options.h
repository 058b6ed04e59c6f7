// SPDX-License-Identifier: MIT
//
// The command lines of `snapfs mount` and of mount.snapfs, mount(8)'s helper,
// as plain values. Uses getopt(3), so one thread at a time.
#pragma once

#include <string>
#include <vector>

#include "fusefs/mount_options.h"

namespace snapfs {

// Whose meaning the one-letter flags have: for FUSE programs -f is foreground
// and -s single thread, for helpers of mount(8) -f is fake and -s sloppy.
enum class FlagStyle { fuse, mount };

enum class Request { mount, help, version };

struct MountCommand {
  Request request = Request::mount;
  MountOptions options;
};

// `arguments` without the program's or the subcommand's name. Throws
// UsageError.
MountCommand parse_mount_command(FlagStyle style,
                                 const std::vector<std::string>& arguments);

// The text of --help.
std::string mount_help(FlagStyle style);

}  // namespace snapfs

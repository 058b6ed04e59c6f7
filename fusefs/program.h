// SPDX-License-Identifier: MIT
//
// The program under each of its names: snapfs with its subcommands,
// mount.snapfs and umount.fuse.snapfs, the helpers of mount(8) and umount(8).
#pragma once

namespace snapfs {

// What main() does. Returns the exit status.
int run_program(int argc, char** argv);

}  // namespace snapfs

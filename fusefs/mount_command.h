// SPDX-License-Identifier: MIT
//
// `snapfs mount` and mount.snapfs once the command line is understood.
#pragma once

#include "fusefs/mount_options.h"

namespace snapfs {

// Mounts, in the background unless asked otherwise, and returns the exit
// status: in the caller once the mount is ready or has failed, in the daemon
// once it has ended. Errors have been logged. REQUIRES: no threads yet.
int run_mount(const MountOptions& options);

}  // namespace snapfs

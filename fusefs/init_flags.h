// SPDX-License-Identifier: MIT
//
// What is agreed with the kernel when a mount begins: the limits and the flags
// of FUSE_INIT. libfuse before 3.17 cannot ask for flags above bit 31; for
// those its reply is completed on the way out. Used once a session, by the
// thread that calls answer_init().
#pragma once

#include "fusefs/fuse.h"

namespace snapfs {

struct InitOutcome {
  // Files opened with direct I/O may be mapped shared (FUSE_DIRECT_IO_ALLOW_
  // MMAP, Linux 6.6); without it mmap(MAP_SHARED) of them fails with ENODEV.
  bool direct_io_mmap = false;
};

// `operations` with an init callback that sets our limits and flags, and then
// calls the one that was there.
fuse_lowlevel_ops with_init(const fuse_lowlevel_ops& operations);

// Waits for the kernel's INIT on the mounted session, whose operations came
// from with_init(), and answers it. No other request has been served before.
// Throws std::system_error if there is no agreement or no mount any more.
InitOutcome answer_init(fuse_session* session,
                        const fuse_lowlevel_ops& operations);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What the daemon keeps of root's power. Capabilities belong to threads: they
// are given up before there is a second one. What is given up is so for good,
// also for programs that are run.
#pragma once

#include <linux/capability.h>

#include <cstdint>

namespace snapfs {

// A bit for each capability.
using Capabilities = uint64_t;

constexpr Capabilities capability(unsigned number) {
  return Capabilities{1} << number;
}

// What a daemon of root needs after it has entered its mount namespace:
constexpr Capabilities kDaemonCapabilities =
    // mount and unmount, and the limit of requests in the background
    capability(CAP_SYS_ADMIN) |
    // devices that tables name, also later ones, and tables in SPEC, whoever
    // they belong to
    capability(CAP_DAC_OVERRIDE) |
    // a saved table has the owner and the mode of the file that it replaces
    capability(CAP_CHOWN) | capability(CAP_FOWNER) |
    // which process holds a device, or has a file of the mount open
    capability(CAP_SYS_PTRACE);

// The process that has the kernel write files of the mount back opens them.
constexpr Capabilities kWriteBackCapabilities = capability(CAP_DAC_OVERRIDE);

// Gives up all others, those for ordinary users to come by as well; root also
// what set-user-ID programs would give. False, and errno, if that fails. System
// calls only.
bool keep_capabilities(Capabilities kept) noexcept;

}  // namespace snapfs

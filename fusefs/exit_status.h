// SPDX-License-Identifier: MIT
//
// Exit statuses, as mount(8) documents them.
#pragma once

namespace snapfs {

enum ExitStatus : int {
  kExitOk = 0,
  kExitUsage = 1,          // wrong command line
  kExitSystemError = 2,    // the system, or what was asked, failed
  kExitInterrupted = 8,    // by a signal, before the mount was there
  kExitMountFailure = 32,  // nothing was mounted, or unmounted
};

}  // namespace snapfs

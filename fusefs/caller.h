// SPDX-License-Identifier: MIT
//
// Who sent a request, and what /proc tells about that process. The sender is
// blocked in its request meanwhile, so what is read here holds still. The text
// functions are pure, for tests. Stateless.
#pragma once

#include <sys/types.h>

#include <string_view>

#include "fusefs/fuse.h"

namespace snapfs {

struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t thread = 0;  // a thread id; 0 if it lives in another pid namespace
};

Caller caller_of(fuse_req_t request);

// The process (thread group) of a thread; the thread itself if it is gone.
pid_t process_of(pid_t thread);

// Is the thread exiting because a signal killed it? A process that exits by
// itself is not.
bool is_killed(pid_t thread);

// Does a signal wait for the thread that will end it? True also for a thread
// that cannot be seen: it is never right to keep a process that is dying.
bool is_dying(pid_t thread);

// On the text of /proc/PID/status.
pid_t process_in_status(std::string_view status);  // 0 if there is none
bool fatal_signal_in_status(std::string_view status);

// On the text of /proc/PID/stat.
bool killed_in_stat(std::string_view stat);

}  // namespace snapfs

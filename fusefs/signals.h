// SPDX-License-Identifier: MIT
//
// The daemon's signals, taken by one thread that may do anything: nothing runs
// in a signal handler.
#pragma once

#include <csignal>
#include <functional>
#include <thread>

#include "core/unique_fd.h"

namespace snapfs {

// SIGTERM, SIGINT and SIGHUP: what SignalThread takes.
sigset_t daemon_signals();

// Keeps the daemon's signals for SignalThread and ignores those that would
// kill it for no good reason (SIGPIPE; SIGXFSZ: the write fails with EFBIG).
// Call before the first thread: threads inherit it.
void block_daemon_signals();

// Is one of the signals that end the daemon waiting to be taken?
bool end_signal_pending();

// Calls `on_signal` in a thread of its own for each signal that arrives, also
// for those that came since block_daemon_signals().
class SignalThread {
 public:
  explicit SignalThread(std::function<void(int)> on_signal);
  // Waits for a call that is under way; signals wait from here on.
  ~SignalThread();
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

 private:
  void run() noexcept;

  const std::function<void(int)> on_signal_;
  UniqueFd signals_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace snapfs

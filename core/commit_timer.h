// SPDX-License-Identifier: MIT
//
// Commits what has waited too long. One thread for all stores; it sleeps
// without a timer while nothing is pending. Thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <thread>

#include "core/mutex.h"

namespace snapfs {

// Something with records that are not durable yet.
class Committable {
 public:
  virtual ~Committable() = default;
  // Makes everything pending durable. Called from the timer's thread.
  virtual void commit_pending() noexcept = 0;
};

class CommitTimer {
 public:
  using Clock = std::chrono::steady_clock;

  CommitTimer();
  ~CommitTimer();  // REQUIRES: everything has been forgotten.

  // Calls store.commit_pending() after `delay`, once. A store that is already
  // due earlier stays so.
  void arm(Committable& store, Clock::duration delay) EXCLUDES(mutex_);

  // Drops the store; waits if it is being committed right now.
  void forget(Committable& store) EXCLUDES(mutex_);

 private:
  void run() EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::map<Committable*, Clock::time_point> due_ GUARDED_BY(mutex_);
  Committable* running_ GUARDED_BY(mutex_) = nullptr;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: starts when everything above exists
};

}  // namespace snapfs

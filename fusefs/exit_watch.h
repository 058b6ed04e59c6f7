// SPDX-License-Identifier: MIT
//
// Calls back when a process has ended, or some time after it was asked to: for
// what a process left half done and may still go on with. One thread, which
// sleeps while there is nothing to watch. Thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "core/mutex.h"
#include "core/unique_fd.h"

namespace snapfs {

class ExitWatch {
 public:
  static constexpr std::chrono::milliseconds kPatience{1000};

  // `callback` gets the key; it is called from the watch's thread, without its
  // lock, and must not throw.
  explicit ExitWatch(std::function<void(const std::string& key)> callback,
                     std::chrono::milliseconds patience = kPatience);
  ~ExitWatch();

  // Replaces what was watched under this key.
  void watch(const std::string& key, pid_t process) EXCLUDES(mutex_);

  // A callback may be on its way already.
  void forget(const std::string& key) EXCLUDES(mutex_);

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    UniqueFd process;  // a pidfd; none if it cannot be had
    Clock::time_point deadline;
  };

  void run() noexcept EXCLUDES(mutex_);
  std::vector<std::string> wait_for_keys() EXCLUDES(mutex_);
  void wake() const noexcept;

  const std::function<void(const std::string&)> callback_;
  const std::chrono::milliseconds patience_;
  const UniqueFd wake_;  // an eventfd: the entries have changed
  Mutex mutex_;
  std::map<std::string, Entry> entries_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: starts when everything above exists
};

}  // namespace snapfs

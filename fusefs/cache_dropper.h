// SPDX-License-Identifier: MIT
//
// Makes the kernel forget what it has cached of a device whose content is lost,
// so that mappings and cached pages fail as reads do. The kernel may wait for
// requests of that file meanwhile, so a thread of its own does it, which takes
// no requests and answers none. Thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <thread>

#include "core/mutex.h"

namespace snapfs {

class CacheDropper {
 public:
  // `drop` gets the name of a device, in the dropper's thread. It must not
  // throw.
  explicit CacheDropper(std::function<void(const std::string&)> drop);
  ~CacheDropper();

  // Does not block, so that events may be passed on. Nothing after stop().
  void add(const std::string& device) EXCLUDES(mutex_);

  // Waits for what is being dropped right now, and forgets the rest.
  void stop() noexcept EXCLUDES(mutex_);

 private:
  void run() noexcept EXCLUDES(mutex_);

  const std::function<void(const std::string&)> drop_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::string> devices_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: starts when everything above exists
};

}  // namespace snapfs

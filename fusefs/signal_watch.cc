// SPDX-License-Identifier: MIT
#include "fusefs/signal_watch.h"

#include <chrono>
#include <new>

namespace snapfs {

namespace {
constexpr std::chrono::milliseconds kInterval{500};
}

SignalWatch::~SignalWatch() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void SignalWatch::add(Watched& request) noexcept {
  MutexLock lock(mutex_);
  try {
    watched_.insert(&request);
  } catch (const std::bad_alloc&) {
    // Its sender then waits until the gate opens, as it would without us.
  }
  changed_.notify_all();
}

void SignalWatch::forget(Watched& request) noexcept {
  MutexLock lock(mutex_);
  watched_.erase(&request);
}

void SignalWatch::run() noexcept {
  MutexLock lock(mutex_);
  while (!stopping_) {
    if (watched_.empty()) {
      changed_.wait(mutex_);
      continue;
    }
    auto next = std::chrono::steady_clock::now() + kInterval;
    while (!stopping_ &&
           changed_.wait_until(mutex_, next) != std::cv_status::timeout) {
    }
    for (auto it = watched_.begin(); it != watched_.end();) {
      it = (*it)->check_sender() ? watched_.erase(it) : std::next(it);
    }
  }
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/commit_timer.h"

#include <algorithm>

namespace snapfs {

CommitTimer::CommitTimer() : thread_([this] { run(); }) {}

CommitTimer::~CommitTimer() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void CommitTimer::arm(Committable& store, Clock::duration delay) {
  MutexLock lock(mutex_);
  if (due_.contains(&store)) return;
  due_.emplace(&store, Clock::now() + delay);
  changed_.notify_all();
}

void CommitTimer::forget(Committable& store) {
  MutexLock lock(mutex_);
  due_.erase(&store);
  while (running_ == &store) changed_.wait(mutex_);
  due_.erase(&store);  // it may have been armed while it was being committed
}

void CommitTimer::run() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    if (due_.empty()) {
      changed_.wait(mutex_);
      continue;
    }
    auto first = std::min_element(
        due_.begin(), due_.end(),
        [](const auto& a, const auto& b) { return a.second < b.second; });
    if (Clock::now() < first->second) {
      Clock::time_point when = first->second;
      changed_.wait_until(mutex_, when);
      continue;
    }
    Committable* store = first->first;
    running_ = store;
    due_.erase(first);
    lock.unlock();
    store->commit_pending();
    lock.lock();
    running_ = nullptr;
    changed_.notify_all();
  }
}

}  // namespace snapfs

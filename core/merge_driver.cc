// SPDX-License-Identifier: MIT
#include "core/merge_driver.h"

#include <algorithm>
#include <utility>

namespace snapfs {
namespace {

// With a rate, steps are so short that there are several in a second.
constexpr uint64_t kStepsInASecond = 8;

BackgroundCopy::StepLimit limit_of(uint64_t rate) {
  BackgroundCopy::StepLimit limit;
  if (rate != 0) {
    limit.bytes = std::min(limit.bytes, rate / kStepsInASecond);
  }
  return limit;
}

MergeDriver::Clock::duration time_for(uint64_t bytes, uint64_t rate) {
  if (rate == 0) return {};
  return std::chrono::duration_cast<MergeDriver::Clock::duration>(
      std::chrono::duration<double>(static_cast<double>(bytes) /
                                    static_cast<double>(rate)));
}

}  // namespace

MergeDriver::~MergeDriver() { stop(); }

void MergeDriver::start() {
  MutexLock lock(mutex_);
  if (thread_.joinable() || stopping_) return;
  thread_ = std::thread([this] { run(); });
}

void MergeDriver::stop() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

MergeDriver::Place MergeDriver::find(const BackgroundCopy& copy) {
  return std::find_if(merges_.begin(), merges_.end(), [&](const Merge& merge) {
    return merge.copy.get() == &copy;
  });
}

void MergeDriver::add(std::shared_ptr<BackgroundCopy> copy, uint64_t rate,
                      bool paused) {
  MutexLock lock(mutex_);
  merges_.push_back({std::move(copy), rate, Clock::now(), paused});
  changed_.notify_all();
}

void MergeDriver::set_rate(const BackgroundCopy& copy, uint64_t rate) {
  MutexLock lock(mutex_);
  Place merge = find(copy);
  if (merge == merges_.end()) return;
  merge->rate = rate;
  // A pause that was measured for the old rate may be long.
  merge->due = Clock::now();
  changed_.notify_all();
}

void MergeDriver::pause(const BackgroundCopy& copy) {
  MutexLock lock(mutex_);
  Place merge = find(copy);
  if (merge != merges_.end()) merge->paused = true;
  wait_for_step(copy);
}

void MergeDriver::resume(const BackgroundCopy& copy) {
  MutexLock lock(mutex_);
  Place merge = find(copy);
  if (merge == merges_.end()) return;
  merge->paused = false;
  // No step of it runs: nobody says anything else meanwhile.
  if (merge->failed) merge->copy->forget_failure();
  merge->failed = false;
  changed_.notify_all();
}

void MergeDriver::remove(const BackgroundCopy& copy) {
  MutexLock lock(mutex_);
  Place merge = find(copy);
  if (merge != merges_.end()) merge->paused = true;
  wait_for_step(copy);
  // The step may have been the last one.
  merge = find(copy);
  if (merge != merges_.end()) merges_.erase(merge);
}

void MergeDriver::wait_for_step(const BackgroundCopy& copy) {
  while (stepping_ == &copy) changed_.wait(mutex_);
}

// The one whose turn it is, or will be; end() if none can go on.
MergeDriver::Place MergeDriver::next() {
  Place first = merges_.end();
  for (Place merge = merges_.begin(); merge != merges_.end(); ++merge) {
    if (merge->paused || merge->failed) continue;
    if (first == merges_.end() || merge->due < first->due) first = merge;
  }
  return first;
}

void MergeDriver::run() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    Place merge = next();
    if (merge == merges_.end()) {
      changed_.wait(mutex_);
      continue;
    }
    if (merge->due > Clock::now()) {
      changed_.wait_until(mutex_, Clock::time_point(merge->due));
      continue;
    }
    // Nobody takes it from the list while it is stepping.
    std::shared_ptr<BackgroundCopy> copy = merge->copy;
    const BackgroundCopy::StepLimit limit = limit_of(merge->rate);
    const Clock::time_point begin = Clock::now();
    stepping_ = copy.get();
    lock.unlock();
    uint64_t bytes = 0;
    std::string failure;
    try {
      bytes = copy->step(limit);
    } catch (const std::exception& error) {
      failure = error.what();
    }
    lock.lock();
    stepping_ = nullptr;
    changed_.notify_all();
    merge->due = begin + time_for(bytes, merge->rate);
    if (bytes != 0) continue;
    merge->failed = !failure.empty();
    if (failure.empty()) merges_.erase(merge);
    lock.unlock();
    ended_(std::move(copy), failure);
    lock.lock();
  }
}

}  // namespace snapfs

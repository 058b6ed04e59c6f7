// SPDX-License-Identifier: MIT
//
// The background of merges: one thread that gives each a step in turn, as fast
// as its rate allows. It sleeps while there is nothing to do. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "core/background_copy.h"
#include "core/mutex.h"

namespace snapfs {

class MergeDriver {
 public:
  using Clock = std::chrono::steady_clock;

  // What a merge came to, told once from the driver's thread, with no lock held
  // and no step under way. An empty failure: it has finished, and the driver
  // has dropped it. Otherwise it stands still until it is resumed.
  using Ended = std::function<void(std::shared_ptr<BackgroundCopy> copy,
                                   const std::string& failure)>;

  explicit MergeDriver(Ended ended) : ended_(std::move(ended)) {}
  ~MergeDriver();

  // From now on merges run. Until then they are only kept.
  void start() EXCLUDES(mutex_);

  // No step begins any more. Waits for the thread; not for that thread to call.
  void stop() EXCLUDES(mutex_);

  // `rate` is bytes of the origin a second, 0 without a limit. Paused: no step
  // begins before resume().
  void add(std::shared_ptr<BackgroundCopy> copy, uint64_t rate,
           bool paused = false) EXCLUDES(mutex_);
  void set_rate(const BackgroundCopy& copy, uint64_t rate) EXCLUDES(mutex_);

  // The next three do nothing if the merge is not here.
  // No step of it runs on return, or begins before resume().
  void pause(const BackgroundCopy& copy) EXCLUDES(mutex_);
  // Also after a failure.
  void resume(const BackgroundCopy& copy) EXCLUDES(mutex_);
  // Drops it; no step of it runs on return.
  void remove(const BackgroundCopy& copy) EXCLUDES(mutex_);

 private:
  struct Merge {
    std::shared_ptr<BackgroundCopy> copy;
    uint64_t rate = 0;
    Clock::time_point due;
    bool paused = false;
    bool failed = false;
  };
  using Place = std::list<Merge>::iterator;

  void run() EXCLUDES(mutex_);
  Place find(const BackgroundCopy& copy) REQUIRES(mutex_);
  Place next() REQUIRES(mutex_);
  void wait_for_step(const BackgroundCopy& copy) REQUIRES(mutex_);

  const Ended ended_;

  Mutex mutex_;
  CondVar changed_;
  std::list<Merge> merges_ GUARDED_BY(mutex_);
  const BackgroundCopy* stepping_ GUARDED_BY(mutex_) = nullptr;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

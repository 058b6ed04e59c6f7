// SPDX-License-Identifier: MIT
//
// A fixed number of threads that carry out what could not be done in the thread
// that took the request: parked requests that may go on, long work in pieces,
// news for waiting readers. The threads live as long as the pool. Queueing
// allocates nothing and never fails. Thread-safe.
#pragma once

#include <thread>
#include <vector>

#include "core/mutex.h"

namespace snapfs {

// Something to do. Not owned by the pool: run() may destroy it.
class WorkItem {
 public:
  virtual ~WorkItem() = default;
  virtual void run() noexcept = 0;

 private:
  friend class WorkerPool;
  WorkItem* next_ = nullptr;
};

class WorkerPool {
 public:
  explicit WorkerPool(unsigned thread_count);
  // Does what is queued, then ends the threads.
  ~WorkerPool();

  // First in, first out. REQUIRES: `item` is not queued.
  void submit(WorkItem& item) noexcept EXCLUDES(mutex_);

  // Waits until nothing is queued and nothing runs. Must not be called from
  // one of the pool's threads.
  void wait_idle() EXCLUDES(mutex_);

 private:
  void work() noexcept EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar queued_;
  CondVar idle_;
  WorkItem* first_ GUARDED_BY(mutex_) = nullptr;
  WorkItem* last_ GUARDED_BY(mutex_) = nullptr;
  unsigned running_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/worker_pool.h"

namespace snapfs {

WorkerPool::WorkerPool(unsigned thread_count) {
  threads_.reserve(thread_count);
  for (unsigned i = 0; i < thread_count; ++i) {
    threads_.emplace_back([this] { work(); });
  }
}

WorkerPool::~WorkerPool() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    queued_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::submit(WorkItem& item) noexcept {
  MutexLock lock(mutex_);
  item.next_ = nullptr;
  if (last_ != nullptr) {
    last_->next_ = &item;
  } else {
    first_ = &item;
  }
  last_ = &item;
  queued_.notify_one();
}

void WorkerPool::wait_idle() {
  MutexLock lock(mutex_);
  while (first_ != nullptr || running_ != 0) idle_.wait(mutex_);
}

void WorkerPool::work() noexcept {
  MutexLock lock(mutex_);
  while (true) {
    while (first_ == nullptr && !stopping_) queued_.wait(mutex_);
    if (first_ == nullptr) return;
    WorkItem* item = first_;
    first_ = item->next_;
    if (first_ == nullptr) last_ = nullptr;
    ++running_;
    lock.unlock();
    item->run();
    lock.lock();
    if (--running_ == 0 && first_ == nullptr) idle_.notify_all();
  }
}

}  // namespace snapfs

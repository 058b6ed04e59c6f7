// SPDX-License-Identifier: MIT
#include "fusefs/cache_dropper.h"

#include <utility>

namespace snapfs {

CacheDropper::CacheDropper(std::function<void(const std::string&)> drop)
    : drop_(std::move(drop)), thread_([this] { run(); }) {}

CacheDropper::~CacheDropper() {
  stop();
  thread_.join();
}

void CacheDropper::add(const std::string& device) {
  MutexLock lock(mutex_);
  if (stopping_) return;
  devices_.push_back(device);
  changed_.notify_all();
}

void CacheDropper::stop() noexcept {
  MutexLock lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
  while (!ended_) changed_.wait(mutex_);
}

void CacheDropper::run() noexcept {
  MutexLock lock(mutex_);
  while (true) {
    while (devices_.empty() && !stopping_) changed_.wait(mutex_);
    if (stopping_) break;
    std::string device = std::move(devices_.front());
    devices_.pop_front();
    lock.unlock();
    drop_(device);
    lock.lock();
  }
  ended_ = true;
  changed_.notify_all();
}

}  // namespace snapfs

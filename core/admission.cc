// SPDX-License-Identifier: MIT
#include "core/admission.h"

#include <algorithm>

namespace snapfs {

std::optional<Admission::Pass> Admission::enter(Parked& request) {
  MutexLock lock(mutex_);
  if (closed_ != 0) {
    parked_.push_back(&request);
    return std::nullopt;
  }
  ++inside_;
  return Pass(this);
}

Admission::Pass Admission::enter_or_wait() {
  MutexLock lock(mutex_);
  while (closed_ != 0) changed_.wait(mutex_);
  ++inside_;
  return Pass(this);
}

void Admission::leave() {
  MutexLock lock(mutex_);
  if (--inside_ == 0 && closed_ != 0) changed_.notify_all();
}

bool Admission::withdraw(Parked& request) {
  MutexLock lock(mutex_);
  auto found = std::find(parked_.begin(), parked_.end(), &request);
  if (found == parked_.end()) return false;
  parked_.erase(found);
  return true;
}

void Admission::close() {
  MutexLock lock(mutex_);
  ++closed_;
}

void Admission::drain() {
  MutexLock lock(mutex_);
  while (inside_ != 0) changed_.wait(mutex_);
}

void Admission::open() {
  std::vector<Parked*> woken;
  {
    MutexLock lock(mutex_);
    if (--closed_ != 0) return;
    woken.swap(parked_);
    changed_.notify_all();
  }
  for (Parked* request : woken) request->wake();
}

void Admission::wake_all() {
  std::vector<Parked*> woken;
  {
    MutexLock lock(mutex_);
    woken.swap(parked_);
  }
  for (Parked* request : woken) request->wake();
}

std::size_t Admission::parked_count() const {
  MutexLock lock(mutex_);
  return parked_.size();
}

bool Admission::is_closed() const {
  MutexLock lock(mutex_);
  return closed_ != 0;
}

}  // namespace snapfs

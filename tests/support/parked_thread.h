// SPDX-License-Identifier: MIT
//
// Where FUSE would park a request, a test parks its thread. Thread-safe.
#pragma once

#include "core/admission.h"
#include "core/device.h"
#include "core/mutex.h"
#include "core/no_room_yet.h"

namespace snapfs::test {

class ParkedThread : public Parked {
 public:
  void wake() override {
    MutexLock lock(mutex_);
    is_woken_ = true;
    woken_.notify_all();
  }

  void wait() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (!is_woken_) woken_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar woken_;
  bool is_woken_ GUARDED_BY(mutex_) = false;
};

// A pass, however long that takes. A request that was woken may find the gate
// closed again.
inline Admission::Pass enter(Device& device) {
  for (;;) {
    ParkedThread parked;
    if (auto pass = device.admission().enter(parked)) return *std::move(pass);
    parked.wait();
  }
}

// Does `write`, and waits for room as often as it is told to.
template <typename Write>
void until_room(const Write& write) {
  for (;;) {
    ParkedThread parked;
    try {
      return write();
    } catch (const NoRoomYet& not_now) {
      if (!not_now.gate()->enter(parked)) parked.wait();
    }
  }
}

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// The gate in front of a device. A request enters before it touches the device
// and holds its Pass until it has been carried out. Whoever must change the
// device closes the gate, drains what is inside, makes the change and opens
// the gate again. A request that finds the gate closed is parked: its owner is
// told when to try again, and no thread waits meanwhile. Thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "core/mutex.h"

namespace snapfs {

// A request that may have to wait. Owned by whoever submitted it.
class Parked {
 public:
  virtual ~Parked() = default;

  // The gate has opened (or the device is gone): try to enter again. Called
  // once for each enter() that returned nothing, from any thread, with no lock
  // of the gate held. Must not block and must not enter from inside this call.
  virtual void wake() = 0;
};

class Admission {
 public:
  // Leave to be inside. The gate cannot be drained while one is held.
  class [[nodiscard]] Pass {
   public:
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      std::swap(gate_, other.gate_);
      return *this;
    }
    ~Pass() {
      if (gate_ != nullptr) gate_->leave();
    }

   private:
    friend class Admission;
    explicit Pass(Admission* gate) : gate_(gate) {}
    Admission* gate_;
  };

  // Nothing if the gate is closed: `request` is parked then and will be woken,
  // or withdrawn by withdraw().
  std::optional<Pass> enter(Parked& request) EXCLUDES(mutex_);

  // Waits while the gate is closed. Only for gates that close for as long as
  // device I/O takes, never for as long as a person takes.
  Pass enter_or_wait() EXCLUDES(mutex_);

  // Takes a parked request out of the queue. False if it is not there: it has
  // been, or is just being, woken.
  bool withdraw(Parked& request) EXCLUDES(mutex_);

  // New requests are turned away from now on. Closing nests: the gate is open
  // again after as many open() calls.
  void close() EXCLUDES(mutex_);

  // Waits until nobody is inside. REQUIRES: closed, and the caller holds no
  // Pass.
  void drain() EXCLUDES(mutex_);

  // Opens the gate and wakes what is parked, in order of arrival.
  void open() EXCLUDES(mutex_);

  // Wakes what is parked without opening the gate (the device has changed so
  // that it can answer with an error, or the mount is ending).
  void wake_all() EXCLUDES(mutex_);

  std::size_t parked_count() const EXCLUDES(mutex_);
  bool is_closed() const EXCLUDES(mutex_);

 private:
  void leave() EXCLUDES(mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  std::size_t inside_ GUARDED_BY(mutex_) = 0;
  unsigned closed_ GUARDED_BY(mutex_) = 0;
  std::vector<Parked*> parked_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

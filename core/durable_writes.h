// SPDX-License-Identifier: MIT
//
// Flushes of a device that several parties write to and flush. A device tells
// an error once, to whoever flushes then, and what it has lost is lost; so the
// error is remembered here, for all whose writes it may concern: a flush that
// was under way when it was told fails with it, too, and so does every later
// one until somebody knows. Thread-safe.
//
// That holds among flushes that are made here. One that is made past this, of
// the same opened device, takes an error away unseen.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <set>

#include "core/block_device.h"
#include "core/mutex.h"

namespace snapfs {

class DurableWrites {
 public:
  // For whoever writes to the device: makes everything durable that was
  // written. Throws if this flush fails, or another one before this one
  // returns; and what has failed earlier, until it has been forgiven and told
  // here at least once.
  void flush(BlockDevice& device) EXCLUDES(mutex_);

  // For the engine's own purposes: what has failed earlier is thrown until it
  // is forgiven, whether it was told or not.
  void flush_for_engine(BlockDevice& device) EXCLUDES(mutex_);

  // The same for a step of a merge or a revert that has copied something since
  // failures() was `before`. Throws, too, if any flush has failed since,
  // forgiven or not: then the copies have to be made again.
  void flush_copies(BlockDevice& device, uint64_t before) EXCLUDES(mutex_);
  uint64_t failures() const EXCLUDES(mutex_);

  // Does `action`, which flushes the device among other things: an error of it
  // is one of a flush. Throws if it fails, or another flush before this
  // returns; nothing that has failed earlier.
  void flush_by(const std::function<void()>& action) EXCLUDES(mutex_);

  // An administrator knows, and says that the device is to go on.
  void forgive() EXCLUDES(mutex_);

 private:
  void carry_out(const std::function<void()>& action, uint64_t known)
      REQUIRES(mutex_);
  void check(uint64_t known) const REQUIRES(mutex_);
  bool is_under_way_before(uint64_t number) const REQUIRES(mutex_);

  mutable Mutex mutex_;
  // How many have failed, and how many of these, from the first one on, users
  // and the administrator know of.
  uint64_t failures_ GUARDED_BY(mutex_) = 0;
  uint64_t told_ GUARDED_BY(mutex_) = 0;
  uint64_t forgiven_ GUARDED_BY(mutex_) = 0;
  std::exception_ptr last_failure_ GUARDED_BY(mutex_);

  // Those under way, by numbers in the order in which they began.
  CondVar ended_;
  uint64_t next_number_ GUARDED_BY(mutex_) = 0;
  std::set<uint64_t> under_way_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

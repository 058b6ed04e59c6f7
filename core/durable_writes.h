// SPDX-License-Identifier: MIT
//
// Flushes of a device that several parties write to and flush. A device tells
// an error once, to whoever flushes then, and what it has lost is lost; so the
// error is remembered here, and no later flush pretends that all is well.
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>

#include "core/block_device.h"
#include "core/mutex.h"

namespace snapfs {

class DurableWrites {
 public:
  // For whoever writes to the device: makes everything durable that was
  // written. Once a flush has failed, each of these throws that error, until it
  // has been forgiven and told at least once.
  void flush(BlockDevice& device) EXCLUDES(flush_mutex_, mutex_);

  // For the engine's own purposes: throws that error until it is forgiven,
  // whether it was told or not.
  void flush_for_engine(BlockDevice& device) EXCLUDES(flush_mutex_, mutex_);

  // The same for a step of a merge or a revert that has copied something since
  // failures() was `before`. Throws, too, if any flush has failed since,
  // forgiven or not: then the copies have to be made again.
  void flush_copies(BlockDevice& device, uint64_t before)
      EXCLUDES(flush_mutex_, mutex_);
  uint64_t failures() const { return failures_.load(); }

  // What somebody else's flush of the device has met.
  void note(std::exception_ptr failure) EXCLUDES(mutex_);

  // An administrator knows, and says that the device is to go on.
  void forgive() EXCLUDES(mutex_);

 private:
  void flush_or_note(BlockDevice& device) EXCLUDES(flush_mutex_, mutex_);

  // Shared by those who flush, so that who holds it alone knows of all flushes
  // that have failed.
  SharedMutex flush_mutex_;
  std::atomic<uint64_t> failures_{0};

  Mutex mutex_;
  std::exception_ptr failure_ GUARDED_BY(mutex_);
  bool is_told_ GUARDED_BY(mutex_) = false;
  bool is_forgiven_ GUARDED_BY(mutex_) = false;
};

}  // namespace snapfs

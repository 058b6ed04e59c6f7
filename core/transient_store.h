// SPDX-License-Identifier: MIT
//
// The store of type N: hands out the chunks of the COW device one after the
// other and keeps nothing. The content is gone when the device is. Thread-safe.
#pragma once

#include <memory>

#include "core/block_device.h"
#include "core/exception_store.h"
#include "core/mutex.h"

namespace snapfs {

class TransientStore : public ExceptionStore {
 public:
  TransientStore(std::shared_ptr<BlockDevice> cow, ChunkSize chunk_size)
      : cow_(std::move(cow)), chunk_size_(chunk_size) {}

  ChunkSize chunk_size() const override { return chunk_size_; }
  StoreUsage usage() const override EXCLUDES(mutex_);
  std::optional<Reservation> reserve(uint64_t count) override EXCLUDES(mutex_);
  bool has_room(uint64_t count) const override EXCLUDES(mutex_);
  void hand_in(const Reservation&,
               std::vector<ExceptionRun>) noexcept override {}
  void abandon(const Reservation& reservation) noexcept override
      EXCLUDES(mutex_);
  void commit() override {}
  void commit_through(uint64_t) override {}
  bool is_durable(uint64_t) const override { return true; }
  bool has_uncommitted() const override { return false; }
  void invalidate() override {}

 private:
  bool fits(uint64_t count) const REQUIRES(mutex_);

  const std::shared_ptr<BlockDevice> cow_;
  const ChunkSize chunk_size_;
  mutable Mutex mutex_;
  uint64_t next_free_ GUARDED_BY(mutex_) = 0;  // chunk
};

}  // namespace snapfs

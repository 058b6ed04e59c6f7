// SPDX-License-Identifier: MIT
//
// Counts what goes through to the device below, and can hold requests back at
// its door: a test stops flushes, lets writers arrive, and releases them when
// they are all there. Thread-safe.
//
//   device.hold(kFlush);
//   ... start threads ...
//   device.wait_until_held(kFlush, 1);
//   device.release(kFlush);
#pragma once

#include <array>
#include <memory>
#include <string>

#include "core/block_device.h"
#include "core/mutex.h"
#include "tests/support/device_op.h"

namespace snapfs::test {

class CountingDevice : public BlockDevice {
 public:
  // Requests that arrived, those held or failed included.
  struct Counts {
    uint64_t reads = 0;
    uint64_t read_bytes = 0;
    uint64_t writes = 0;  // not the durable ones
    uint64_t write_bytes = 0;
    uint64_t durable_writes = 0;
    uint64_t durable_write_bytes = 0;
    uint64_t zeroes = 0;
    uint64_t zero_bytes = 0;
    uint64_t flushes = 0;

    // What a disk with a volatile cache has to wait for.
    uint64_t barriers() const { return flushes + durable_writes; }
  };

  explicit CountingDevice(std::shared_ptr<BlockDevice> below);
  // REQUIRES: nobody is held.
  ~CountingDevice() override;

  const std::string& name() const override { return below_->name(); }
  uint64_t size() const override { return below_->size(); }
  uint32_t logical_block_size() const override {
    return below_->logical_block_size();
  }
  void read(uint64_t offset, std::span<std::byte> into) override;
  void write(uint64_t offset, std::span<const std::byte> from) override;
  void write_durable(uint64_t offset, std::span<const std::byte> from) override;
  void zero(ByteRange range) override;
  void flush() override;
  void grow(uint64_t bytes) override { below_->grow(bytes); }
  std::optional<Backing> backing() const override { return below_->backing(); }
  Extent extent_at(uint64_t offset) override {
    return below_->extent_at(offset);
  }

  Counts counts() const EXCLUDES(mutex_);
  void reset_counts() EXCLUDES(mutex_);

  // From now on requests of these kinds wait before they reach the device.
  // `ops` is an or of Op.
  void hold(unsigned ops) EXCLUDES(mutex_);
  // Lets those that wait go on, and later ones pass.
  void release(unsigned ops = kAnyOp) EXCLUDES(mutex_);
  // Lets those that wait go on, and holds later ones as before.
  void release_held(unsigned ops = kAnyOp) EXCLUDES(mutex_);
  // Blocks until at least `count` requests of these kinds are held. Throws
  // std::runtime_error when that has taken too long, so that a test fails, not
  // hangs.
  void wait_until_held(unsigned ops, unsigned count) EXCLUDES(mutex_);
  unsigned held(unsigned ops = kAnyOp) const EXCLUDES(mutex_);

 private:
  void arrive(Op op, uint64_t bytes) EXCLUDES(mutex_);
  void count(Op op, uint64_t bytes) REQUIRES(mutex_);
  void let_go(unsigned ops) REQUIRES(mutex_);
  unsigned held_locked(unsigned ops) const REQUIRES(mutex_);

  const std::shared_ptr<BlockDevice> below_;

  mutable Mutex mutex_;
  CondVar changed_;
  Counts counts_ GUARDED_BY(mutex_);
  unsigned holding_ GUARDED_BY(mutex_) = 0;
  std::array<unsigned, kOpCount> held_ GUARDED_BY(mutex_) = {};
  // Goes up when those that wait may go on, kind by kind.
  std::array<uint64_t, kOpCount> releases_ GUARDED_BY(mutex_) = {};
};

}  // namespace snapfs::test

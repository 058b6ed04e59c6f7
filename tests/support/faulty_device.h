// SPDX-License-Identifier: MIT
//
// A BlockDevice that fails when it is told to: the k-th write, every read of a
// range, all flushes from now on. What fails does not reach the device below,
// unless it is to fail late. Thread-safe.
//
//   device.inject({.ops = kAnyWrite, .skip = 3, .error = EIO});  // the 4th
#pragma once

#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/block_device.h"
#include "core/mutex.h"
#include "tests/support/device_op.h"

namespace snapfs::test {

class FaultyDevice : public BlockDevice {
 public:
  struct Fault {
    unsigned ops = kAnyOp;  // an or of Op
    std::optional<ByteRange> range =
        {};             // only requests that touch it; no flush
    uint64_t skip = 0;  // so many matching requests still succeed
    int error = EIO;
    bool for_ever = false;  // or once
    // The device below does what was asked, and then the answer is an error.
    bool is_late = false;
  };

  explicit FaultyDevice(std::shared_ptr<BlockDevice> below);

  const std::string& name() const override { return below_->name(); }
  uint64_t size() const override {
    arrive(kSize, std::nullopt);
    return below_->size();
  }
  uint32_t logical_block_size() const override {
    return below_->logical_block_size();
  }
  void read(uint64_t offset, std::span<std::byte> into) override;
  void write(uint64_t offset, std::span<const std::byte> from) override;
  void write_durable(uint64_t offset, std::span<const std::byte> from) override;
  void zero(ByteRange range) override;
  void flush() override;
  void grow(uint64_t bytes) override {
    arrive(kGrow, std::nullopt);
    below_->grow(bytes);
  }
  std::optional<Backing> backing() const override {
    arrive(kGrow, std::nullopt);
    return below_->backing();
  }
  Extent extent_at(uint64_t offset) override {
    return below_->extent_at(offset);
  }

  void inject(Fault fault) EXCLUDES(mutex_);
  // What happens to the device below when a flush is failed.
  void set_on_failed_flush(std::function<void()> action) EXCLUDES(mutex_);
  // Forgets all faults.
  void heal() EXCLUDES(mutex_);
  // How many requests have been failed.
  uint64_t failures() const EXCLUDES(mutex_);

 private:
  // Does nothing, or throws; the latter after `action` if it is to fail late.
  void arrive(Op op, std::optional<ByteRange> range,
              const std::function<void()>& action = {}) const EXCLUDES(mutex_);
  std::optional<Fault> take_fault(Op op, std::optional<ByteRange> range) const
      EXCLUDES(mutex_);

  const std::shared_ptr<BlockDevice> below_;

  mutable Mutex mutex_;
  mutable std::vector<Fault> faults_ GUARDED_BY(mutex_);
  mutable uint64_t failures_ GUARDED_BY(mutex_) = 0;
  std::function<void()> on_failed_flush_ GUARDED_BY(mutex_);
};

}  // namespace snapfs::test

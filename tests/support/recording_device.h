// SPDX-License-Identifier: MIT
//
// Writes down what arrives at devices, in one list for all of them, and says
// what a device holds after the power failed at some point of it. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/block_device.h"
#include "core/mutex.h"
#include "tests/support/device_op.h"

namespace snapfs::test {

struct RecordedOp {
  Op op = kFlush;
  std::string device;
  uint64_t offset = 0;
  uint64_t length = 0;
  std::vector<std::byte> bytes;  // of writes

  ByteRange range() const { return {offset, length}; }
};

// "write cow 4096+512"; "flush cow".
std::string in_words(const RecordedOp& op);

// Shared by devices. Reads are not recorded.
class Recording {
 public:
  void add(RecordedOp op) EXCLUDES(mutex_);
  std::vector<RecordedOp> ops() const EXCLUDES(mutex_);
  void clear() EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::vector<RecordedOp> ops_ GUARDED_BY(mutex_);
};

class RecordingDevice : public BlockDevice {
 public:
  RecordingDevice(std::shared_ptr<BlockDevice> below,
                  std::shared_ptr<Recording> recording)
      : below_(std::move(below)), recording_(std::move(recording)) {}

  const std::string& name() const override { return below_->name(); }
  uint64_t size() const override { return below_->size(); }
  uint32_t logical_block_size() const override {
    return below_->logical_block_size();
  }
  void read(uint64_t offset, std::span<std::byte> into) override {
    below_->read(offset, into);
  }
  void write(uint64_t offset, std::span<const std::byte> from) override;
  void write_durable(uint64_t offset, std::span<const std::byte> from) override;
  void zero(ByteRange range) override;
  void flush() override;
  void grow(uint64_t bytes) override { below_->grow(bytes); }
  std::optional<Backing> backing() const override { return below_->backing(); }
  Extent extent_at(uint64_t offset) override {
    return below_->extent_at(offset);
  }

 private:
  const std::shared_ptr<BlockDevice> below_;
  const std::shared_ptr<Recording> recording_;
};

// Does the sector survive, of an operation that need not?
using Survives = std::function<bool(size_t op, uint64_t sector)>;

// What a device that held `image` has after the first `count` of `ops` arrived
// at it and the last of them was not answered: what was flushed or written
// durably before is there, of the rest the sectors that survive.
std::vector<std::byte> after_power_cut(std::vector<std::byte> image,
                                       const std::vector<RecordedOp>& ops,
                                       size_t count, const Survives& survives);

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// One log of all that happens in a world: what devices are asked to change and
// when they answer, and what that means to their users. A cut of the power is a
// place in this log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/block_device.h"
#include "core/mutex.h"

namespace snapfs::test {

struct Expected;

struct JournalEntry {
  enum class Kind { write, write_durable, grow, flush, answer, note };
  Kind kind = Kind::note;
  uint32_t device = 0;
  uint64_t op = 0;      // of the device operation that begins, or is answered
  uint64_t offset = 0;  // bytes; of `grow`: the new size
  std::vector<std::byte> bytes;  // of writes; zeroing is one
  std::string words;             // of a note
  std::function<void(Expected&)> note;
};

// "write cow0 4096+512" and so on.
std::string in_words(const JournalEntry& entry,
                     const std::vector<std::string>& device_names);

// Thread-safe, but for entries().
class Journal {
 public:
  uint64_t begin(JournalEntry entry) EXCLUDES(mutex_);
  void answer(uint32_t device, uint64_t op) EXCLUDES(mutex_);

  // What users have been promised, or have asked for, changes here.
  void note(std::string words, std::function<void(Expected&)> change)
      EXCLUDES(mutex_);

  // REQUIRES: nobody writes any more.
  const std::deque<JournalEntry>& entries() const NO_THREAD_SAFETY_ANALYSIS {
    return entries_;
  }

 private:
  Mutex mutex_;
  uint64_t next_op_ GUARDED_BY(mutex_) = 1;
  std::deque<JournalEntry> entries_ GUARDED_BY(mutex_);
};

// Is told of each transfer in the thread that does it, before it happens and
// when it has. It may itself use devices, and is not told of that.
class DeviceObserver {
 public:
  virtual ~DeviceObserver() = default;
  virtual void before(bool is_read) = 0;
  virtual void after(bool is_read) = 0;
};

// Thread-safe, if the observer is.
class JournalDevice : public BlockDevice {
 public:
  JournalDevice(std::shared_ptr<BlockDevice> below, uint32_t number,
                Journal& journal, DeviceObserver& observer)
      : below_(std::move(below)),
        number_(number),
        journal_(journal),
        observer_(observer) {}

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
  void grow(uint64_t bytes) override;
  std::optional<Backing> backing() const override { return below_->backing(); }
  Extent extent_at(uint64_t offset) override {
    return below_->extent_at(offset);
  }

 private:
  template <typename Action>
  void change(JournalEntry entry, const Action& action);

  const std::shared_ptr<BlockDevice> below_;
  const uint32_t number_;
  Journal& journal_;
  DeviceObserver& observer_;
};

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "tests/support/recording_device.h"

#include <algorithm>

namespace snapfs::test {
namespace {

const char* name_of(Op op) {
  switch (op) {
    case kRead:
      return "read";
    case kWrite:
      return "write";
    case kWriteDurable:
      return "write_durable";
    case kZero:
      return "zero";
    case kFlush:
      return "flush";
    case kSize:
      return "size";
    case kGrow:
      return "grow";
  }
  return "?";
}

// Puts one sector of an operation on the image.
void apply(std::vector<std::byte>& image, const RecordedOp& op,
           uint64_t sector) {
  uint64_t begin = std::max(op.offset, sector * kSectorBytes);
  uint64_t end = std::min(op.range().end(), (sector + 1) * kSectorBytes);
  auto into = image.begin() + static_cast<std::ptrdiff_t>(begin);
  if (op.op == kZero) {
    std::fill_n(into, end - begin, std::byte{0});
  } else {
    std::copy_n(
        op.bytes.begin() + static_cast<std::ptrdiff_t>(begin - op.offset),
        end - begin, into);
  }
}

}  // namespace

std::string in_words(const RecordedOp& op) {
  std::string words = std::string(name_of(op.op)) + " " + op.device;
  if (op.op == kFlush) return words;
  return words + " " + std::to_string(op.offset) + "+" +
         std::to_string(op.length);
}

void Recording::add(RecordedOp op) {
  MutexLock lock(mutex_);
  ops_.push_back(std::move(op));
}

std::vector<RecordedOp> Recording::ops() const {
  MutexLock lock(mutex_);
  return ops_;
}

void Recording::clear() {
  MutexLock lock(mutex_);
  ops_.clear();
}

void RecordingDevice::write(uint64_t offset, std::span<const std::byte> from) {
  recording_->add(
      {kWrite, name(), offset, from.size(), {from.begin(), from.end()}});
  below_->write(offset, from);
}

void RecordingDevice::write_durable(uint64_t offset,
                                    std::span<const std::byte> from) {
  recording_->add(
      {kWriteDurable, name(), offset, from.size(), {from.begin(), from.end()}});
  below_->write_durable(offset, from);
}

void RecordingDevice::zero(ByteRange range) {
  recording_->add({kZero, name(), range.offset, range.length, {}});
  below_->zero(range);
}

void RecordingDevice::flush() {
  recording_->add({kFlush, name(), 0, 0, {}});
  below_->flush();
}

std::vector<std::byte> after_power_cut(std::vector<std::byte> image,
                                       const std::vector<RecordedOp>& ops,
                                       size_t count, const Survives& survives) {
  // A flush that was not answered promises nothing.
  size_t flushed = 0;
  for (size_t i = 0; i + 1 < count; ++i) {
    if (ops[i].op == kFlush) flushed = i;
  }
  for (size_t i = 0; i < count; ++i) {
    if (ops[i].op == kFlush || ops[i].length == 0) continue;
    bool is_durable =
        i < flushed || (ops[i].op == kWriteDurable && i + 1 < count);
    uint64_t last = (ops[i].range().end() - 1) / kSectorBytes;
    for (uint64_t s = ops[i].offset / kSectorBytes; s <= last; ++s) {
      if (is_durable || survives(i, s)) apply(image, ops[i], s);
    }
  }
  return image;
}

}  // namespace snapfs::test

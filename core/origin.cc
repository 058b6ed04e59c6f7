// SPDX-License-Identifier: MIT
#include "core/origin.h"

#include <algorithm>

#include "core/error.h"
#include "core/reverter.h"

namespace snapfs {

void Origin::read(uint64_t offset, std::span<std::byte> into) {
  if (const auto reverter = family_->reverter()) {
    return reverter->read(*device_, offset, into);
  }
  device_->read(offset, into);
}

void Origin::write(uint64_t offset, std::span<const std::byte> from) {
  family_->write(*device_, Payload(offset, from), nullptr);
}

void Origin::zero(ByteRange range) {
  family_->write(*device_, Payload::zeroes(range), nullptr);
}

void Origin::discard(ByteRange range) {
  // Each discarded chunk would have to be copied to every snapshot first: a
  // mkfs would fill them. dm's snapshot-origin takes no discards either.
  if (family_->has_valid_snapshots()) {
    throw std::system_error(Errc::unsupported, "discard with snapshots");
  }
  zero(range);
}

void Origin::flush() { family_->durable_writes().flush(*device_); }

BlockDevice::Extent Origin::extent_at(uint64_t offset) {
  const auto reverter = family_->reverter();
  BlockDevice::Extent extent =
      reverter != nullptr
          ? reverter->extent_at(*device_, {offset, size() - offset})
          : device_->extent_at(offset);
  extent.length = std::min(extent.length, size() - offset);
  return extent;
}

uint64_t Origin::allocated_sectors() const {
  return options_.length >> kSectorShift;
}

std::string Origin::status_line() const {
  return "0 " + std::to_string(options_.length >> kSectorShift) +
         " snapshot-origin ";
}

std::string Origin::table_line() const {
  return status_line() + options_.device_name;
}

std::string Origin::details() const {
  const auto reverter = family_->reverter();
  return "device: " + options_.device_name + "\n" +
         (reverter == nullptr ? "" : reverter->details());
}

std::vector<Measure> Origin::measures() const {
  Reverter::Progress progress;
  uint64_t chunk_bytes = 0;
  bool has_failed = false;
  if (const auto reverter = family_->reverter()) {
    progress = reverter->progress();
    chunk_bytes = reverter->exceptions().chunk_size().bytes();
    has_failed = !reverter->failure().empty();
  }
  return {
      {"revert_total_bytes", "What there was to be reverted",
       progress.total * chunk_bytes},
      {"revert_reverted_bytes", "What has been reverted of it",
       progress.reverted * chunk_bytes},
      {"revert_failed", "1 if the revert stands still", has_failed ? 1u : 0u},
  };
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/origin.h"

#include <algorithm>

#include "core/error.h"

namespace snapfs {

void Origin::read(uint64_t offset, std::span<std::byte> into) {
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
  BlockDevice::Extent extent = device_->extent_at(offset);
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
  return "device: " + options_.device_name + "\n";
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What a request puts on a device: bytes, or zeroes without bytes. One
// algorithm serves both. A view; immutable.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/block_device.h"
#include "core/chunk.h"

namespace snapfs {

class Payload {
 public:
  Payload(uint64_t offset, std::span<const std::byte> bytes)
      : range_{offset, bytes.size()}, bytes_(bytes.data()) {}

  static Payload zeroes(ByteRange range) { return Payload(range); }

  // Where it goes, in bytes of the device that the request names.
  const ByteRange& range() const { return range_; }
  bool is_zeroes() const { return bytes_ == nullptr; }

  // The part of it inside `part`. REQUIRES: part lies inside range().
  Payload slice(ByteRange part) const {
    if (is_zeroes()) return Payload(part);
    return {part.offset, {bytes_ + (part.offset - range_.offset), part.length}};
  }

  // Puts it at `offset` of `device`.
  void put(BlockDevice& device, uint64_t offset) const {
    if (range_.empty()) return;
    if (is_zeroes()) {
      device.zero({offset, range_.length});
    } else {
      device.write(offset, {bytes_, range_.length});
    }
  }

  // Puts it at the beginning of `into`. REQUIRES: it fits.
  void put(std::span<std::byte> into) const {
    if (is_zeroes()) {
      std::fill_n(into.begin(), range_.length, std::byte{0});
    } else {
      std::copy_n(bytes_, range_.length, into.begin());
    }
  }

 private:
  explicit Payload(ByteRange range) : range_(range) {}

  ByteRange range_;
  const std::byte* bytes_ = nullptr;
};

}  // namespace snapfs

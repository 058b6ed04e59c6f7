// SPDX-License-Identifier: MIT
//
// Sectors, chunks and the conversions between them. A sector is 512 bytes,
// always. A chunk is the unit of copy-on-write: a power of two of sectors,
// fixed for the life of an exception store. Everything here is immutable.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace snapfs {

inline constexpr uint64_t kSectorBytes = 512;
inline constexpr unsigned kSectorShift = 9;

// Largest chunk that the on-disk format allows: INT_MAX >> 9 rounded down to a
// power of two, 1 GiB.
inline constexpr uint64_t kMaxChunkSectors = uint64_t{1} << 21;

// A half-open range of bytes on a device.
struct ByteRange {
  uint64_t offset = 0;
  uint64_t length = 0;

  constexpr uint64_t end() const { return offset + length; }
  constexpr bool empty() const { return length == 0; }
  constexpr bool overlaps(const ByteRange& other) const {
    return offset < other.end() && other.offset < end();
  }
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

// A half-open range of chunk numbers.
struct ChunkRange {
  uint64_t first = 0;
  uint64_t count = 0;

  constexpr uint64_t end() const { return first + count; }
  constexpr bool empty() const { return count == 0; }
  constexpr bool overlaps(const ChunkRange& other) const {
    return first < other.end() && other.first < end();
  }
  friend bool operator==(const ChunkRange&, const ChunkRange&) = default;
};

class ChunkSize {
 public:
  // REQUIRES: is_valid(sectors).
  explicit constexpr ChunkSize(uint64_t sectors)
      : shift_(kSectorShift +
               static_cast<unsigned>(std::countr_zero(sectors))) {}

  static constexpr bool is_valid(uint64_t sectors) {
    return std::has_single_bit(sectors) && sectors <= kMaxChunkSectors;
  }

  constexpr uint64_t sectors() const { return bytes() >> kSectorShift; }
  constexpr uint64_t bytes() const { return uint64_t{1} << shift_; }

  constexpr uint64_t chunk_of(uint64_t byte) const { return byte >> shift_; }
  constexpr uint64_t start_of(uint64_t chunk) const { return chunk << shift_; }
  constexpr uint64_t offset_in_chunk(uint64_t byte) const {
    return byte & (bytes() - 1);
  }

  // The chunks that hold at least one byte of `range`.
  constexpr ChunkRange cover(ByteRange range) const {
    if (range.empty()) return {chunk_of(range.offset), 0};
    uint64_t first = chunk_of(range.offset);
    return {first, chunk_of(range.end() - 1) - first + 1};
  }

  constexpr ByteRange bytes_of(ChunkRange chunks) const {
    return {start_of(chunks.first), chunks.count << shift_};
  }

  friend bool operator==(const ChunkSize&, const ChunkSize&) = default;

 private:
  unsigned shift_;
};

// The part of `range` below `limit` bytes.
constexpr ByteRange clip(ByteRange range, uint64_t limit) {
  uint64_t begin = std::min(range.offset, limit);
  return {begin, std::min(range.end(), limit) - begin};
}

// The bytes that both ranges hold; empty, at some offset, if there are none.
constexpr ByteRange intersect(ByteRange a, ByteRange b) {
  uint64_t begin = std::max(a.offset, b.offset);
  uint64_t end = std::min(a.end(), b.end());
  return {begin, end > begin ? end - begin : 0};
}

}  // namespace snapfs

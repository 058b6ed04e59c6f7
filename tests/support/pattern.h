// SPDX-License-Identifier: MIT
//
// Stamped sectors: each 512-byte sector holds 64 copies of the little-endian
// number GENERATION << 48 | SECTOR, so that a misplaced sector says where it
// came from and which write put it there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "core/block_device.h"
#include "core/chunk.h"

namespace snapfs::test {

inline constexpr unsigned kGenerationShift = 48;

inline uint64_t stamp_of(uint64_t sector, uint64_t generation) {
  return generation << kGenerationShift | sector;
}

inline uint64_t load_little_endian(std::span<const std::byte> from) {
  uint64_t value = 0;
  for (unsigned i = 0; i < 8; ++i) {
    value |= std::to_integer<uint64_t>(from[i]) << (8 * i);
  }
  return value;
}

// Stamps whole sectors; the first one is number `sector`.
inline void stamp(std::span<std::byte> into, uint64_t sector,
                  uint64_t generation) {
  for (size_t at = 0; at < into.size(); at += 8) {
    uint64_t value = stamp_of(sector + at / kSectorBytes, generation);
    for (unsigned i = 0; i < 8; ++i) {
      into[at + i] = static_cast<std::byte>(value >> (8 * i));
    }
  }
}

inline std::vector<std::byte> stamped(uint64_t sector, uint64_t count,
                                      uint64_t generation) {
  std::vector<std::byte> data(count * kSectorBytes);
  stamp(data, sector, generation);
  return data;
}

inline void stamp_device(BlockDevice& device, ByteRange range,
                         uint64_t generation) {
  device.write(range.offset, stamped(range.offset / kSectorBytes,
                                     range.length / kSectorBytes, generation));
}

// What a sector holds, in words.
inline std::string describe_sector(std::span<const std::byte> sector) {
  uint64_t value = load_little_endian(sector);
  for (size_t at = 8; at < kSectorBytes; at += 8) {
    if (load_little_endian(sector.subspan(at, 8)) != value) {
      return "a mixture";
    }
  }
  if (value == 0) return "zeroes";
  uint64_t number = value & ((uint64_t{1} << kGenerationShift) - 1);
  return "sector " + std::to_string(number) + " of generation " +
         std::to_string(value >> kGenerationShift);
}

// Empty if the data is stamped as told, else the first difference in words.
// A test says: EXPECT_EQ(stamp_difference(data, 0, 1), "").
inline std::string stamp_difference(std::span<const std::byte> data,
                                    uint64_t sector, uint64_t generation) {
  std::vector<std::byte> wanted =
      stamped(sector, data.size() / kSectorBytes, generation);
  for (size_t at = 0; at < wanted.size(); at += kSectorBytes) {
    if (std::memcmp(&data[at], &wanted[at], kSectorBytes) == 0) continue;
    return "at sector " + std::to_string(sector + at / kSectorBytes) +
           ": expected generation " + std::to_string(generation) + ", found " +
           describe_sector(data.subspan(at, kSectorBytes));
  }
  return "";
}

inline std::vector<std::byte> read_range(BlockDevice& device, ByteRange range) {
  std::vector<std::byte> data(range.length);
  device.read(range.offset, data);
  return data;
}

}  // namespace snapfs::test

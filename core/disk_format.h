// SPDX-License-Identifier: MIT
//
// The persistent store as it lies on the COW device: constants, structures and
// arithmetic, no I/O. The layout is dm-snapshot's; FORMAT.md describes it.
// Immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/chunk.h"

namespace snapfs {

inline constexpr uint32_t kMagic = 0x70416e53;  // "SnAp"
inline constexpr uint32_t kDiskVersion = 1;
inline constexpr std::size_t kHeaderBytes = 16;
inline constexpr std::size_t kRecordBytes = 16;

// Chunk size of a new store whose table does not name one, in sectors.
inline constexpr uint64_t kDefaultChunkSectors = 32;

struct DiskHeader {
  uint32_t magic = kMagic;
  uint32_t valid = 1;
  uint32_t version = kDiskVersion;
  uint32_t chunk_sectors = 0;
};

// One exception. new_chunk 0 (the header's place) ends the log.
struct DiskRecord {
  uint64_t old_chunk = 0;
  uint64_t new_chunk = 0;
};

// REQUIRES: at least kHeaderBytes or kRecordBytes.
DiskHeader unpack_header(std::span<const std::byte> from);
void pack_header(const DiskHeader& header, std::span<std::byte> into);
DiskRecord unpack_record(std::span<const std::byte> from);
void pack_record(const DiskRecord& record, std::span<std::byte> into);

// Where things are in a store of one chunk size. A slot is the place of a
// record, counted from 0 through all areas.
class StoreLayout {
 public:
  explicit constexpr StoreLayout(ChunkSize chunk_size)
      : chunk_size_(chunk_size) {}

  constexpr ChunkSize chunk_size() const { return chunk_size_; }

  // E: records in one metadata area, which is one chunk.
  constexpr uint64_t records_per_area() const {
    return chunk_size_.bytes() / kRecordBytes;
  }
  constexpr uint64_t area_of_slot(uint64_t slot) const {
    return slot / records_per_area();
  }
  constexpr uint64_t area_chunk(uint64_t area) const {
    return 1 + (records_per_area() + 1) * area;
  }
  constexpr bool is_metadata_chunk(uint64_t chunk) const {
    return chunk == 0 || chunk % (records_per_area() + 1) == 1;
  }
  // The first chunk from `chunk` on that can hold data.
  constexpr uint64_t skip_metadata(uint64_t chunk) const {
    return is_metadata_chunk(chunk) ? chunk + 1 : chunk;
  }
  // The first metadata chunk above the data chunk `chunk`.
  constexpr uint64_t next_area_chunk(uint64_t chunk) const {
    uint64_t stride = records_per_area() + 1;
    return (chunk + stride - 2) / stride * stride + 1;
  }
  // Byte on the COW device where the record of `slot` lies.
  constexpr uint64_t slot_offset(uint64_t slot) const {
    return chunk_size_.start_of(area_chunk(area_of_slot(slot))) +
           slot % records_per_area() * kRecordBytes;
  }

 private:
  ChunkSize chunk_size_;
};

// The first chunk that holds data.
inline constexpr uint64_t kFirstDataChunk = 2;

}  // namespace snapfs

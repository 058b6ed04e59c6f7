// SPDX-License-Identifier: MIT
#include "core/revert_note.h"

#include <endian.h>

#include <algorithm>
#include <cstring>

namespace snapfs {
namespace {

constexpr uint64_t kNoteMagic = 0x5472657652706e53;  // "SnpRverT"
constexpr uint64_t kNoteVersion = 1;

constexpr std::size_t kFields = kRevertNoteBytes / sizeof(uint64_t);

// FNV-1a, over all fields but itself, which is the last one.
uint64_t checksum(std::span<const std::byte> note) {
  uint64_t sum = 0xcbf29ce484222325;
  for (std::byte byte : note.first(kRevertNoteBytes - sizeof(uint64_t))) {
    sum = (sum ^ static_cast<uint64_t>(byte)) * 0x100000001b3;
  }
  return sum;
}

uint64_t field(std::span<const std::byte> note, std::size_t index) {
  uint64_t value = 0;
  std::memcpy(&value, &note[index * sizeof value], sizeof value);
  return le64toh(value);
}

void set_field(std::span<std::byte> note, std::size_t index, uint64_t value) {
  value = htole64(value);
  std::memcpy(&note[index * sizeof value], &value, sizeof value);
}

}  // namespace

std::optional<RevertNote> unpack_revert_note(
    std::span<const std::byte> sector) {
  const auto note = sector.subspan(kRevertNoteOffset, kRevertNoteBytes);
  if (field(note, 0) != kNoteMagic || field(note, 1) != kNoteVersion ||
      field(note, kFields - 1) != checksum(note)) {
    return std::nullopt;
  }
  return RevertNote{field(note, 2), field(note, 3), field(note, 4)};
}

void pack_revert_note(const RevertNote& note, std::span<std::byte> sector) {
  const auto into = sector.subspan(kRevertNoteOffset, kRevertNoteBytes);
  set_field(into, 0, kNoteMagic);
  set_field(into, 1, kNoteVersion);
  set_field(into, 2, note.first_mark_chunk);
  set_field(into, 3, note.length_sectors);
  set_field(into, 4, note.exceptions);
  set_field(into, kFields - 1, checksum(into));
}

std::vector<ChunkRange> mark_chunks(StoreLayout layout,
                                    uint64_t first_mark_chunk) {
  const uint64_t bits = layout.chunk_size().bytes() * 8;
  uint64_t left = (first_mark_chunk + bits - 1) / bits;
  std::vector<ChunkRange> ranges;
  uint64_t next = layout.skip_metadata(first_mark_chunk);
  while (left != 0) {
    const uint64_t count = std::min(left, layout.next_area_chunk(next) - next);
    ranges.push_back({next, count});
    next = layout.skip_metadata(next + count);
    left -= count;
  }
  return ranges;
}

}  // namespace snapfs

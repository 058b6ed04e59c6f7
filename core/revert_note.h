// SPDX-License-Identifier: MIT
//
// The note in a COW device's header that its origin is being reverted to the
// snapshot: structure and arithmetic, no I/O. It lies behind the fields that
// the kernel reads, in the same sector; FORMAT.md describes it. Immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/disk_format.h"

namespace snapfs {

inline constexpr std::size_t kRevertNoteOffset = 16;
inline constexpr std::size_t kRevertNoteBytes = 48;

struct RevertNote {
  // The exceptions that are copied back are those whose new chunk lies below
  // this one, where the marks begin.
  uint64_t first_mark_chunk = 0;
  uint64_t length_sectors = 0;  // of the origin; what lies behind stays
  uint64_t exceptions = 0;      // how many there are to be copied back

  friend bool operator==(const RevertNote&, const RevertNote&) = default;
};

// `sector`: the first one of the COW device. Nothing: there is no note, or none
// that is whole.
std::optional<RevertNote> unpack_revert_note(std::span<const std::byte> sector);
void pack_revert_note(const RevertNote& note, std::span<std::byte> sector);

// The chunks that the marks lie in, one bit for each chunk below the first.
std::vector<ChunkRange> mark_chunks(StoreLayout layout,
                                    uint64_t first_mark_chunk);

}  // namespace snapfs

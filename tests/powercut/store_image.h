// SPDX-License-Identifier: MIT
//
// What a COW device says, read by the format alone: a second opinion beside the
// loader of the core, which shares no code with it. It reads as the kernel does
// (FORMAT.md), and finds fault with what that would take as it is. Immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace snapfs::test {

struct StoreImage {
  enum class Kind { none, invalid, valid, broken };
  Kind kind = Kind::none;
  std::string fault;  // if broken
  uint64_t chunk_sectors = 0;
  uint64_t records = 0;
  uint64_t next_free = 2;                   // chunk
  bool has_stale_records = false;           // behind the end, in its area
  std::map<uint64_t, uint64_t> exceptions;  // old chunk -> new chunk

  // There is the note of a revert. What the origin shows in these of the
  // exceptions lies on the COW.
  bool has_note = false;
  std::map<uint64_t, uint64_t> undone;

  // "ALLOCATED/TOTAL METADATA", as the kernel shows a store that it has just
  // loaded.
  std::string status(uint64_t device_bytes) const;
};

StoreImage read_store(std::span<const std::byte> cow, uint64_t origin_bytes);

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// A list of writes to one snapshot and its origin, as a text file has it, and
// what both look like afterwards. Line N (from 1) of the file is
//
//   snap FIRST COUNT      sectors written to the snapshot
//   origin FIRST COUNT    sectors written to the origin
//   discard FIRST COUNT   whole chunks discarded on a snapshot that has
//                         discard_zeroes_cow: those with an exception read as
//                         zeroes, the others keep their content
//   refused FIRST COUNT   a snapshot write that failed and changed nothing
//
// and writes sectors stamped (pattern.h) with generation N; both devices begin
// stamped with generation 0. So every byte of both views follows from the list.
// Values; nothing here is shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/chunk.h"

namespace snapfs::test {

struct DiskOp {
  enum class Kind { snap, origin, discard, refused };
  Kind kind = Kind::snap;
  uint64_t first = 0;  // sector
  uint64_t count = 0;  // sectors

  ByteRange bytes() const {
    return {first * kSectorBytes, count * kSectorBytes};
  }
};

// Throws std::invalid_argument that names the line.
std::vector<DiskOp> parse_ops(std::string_view text);
std::string to_text(const std::vector<DiskOp>& ops);

struct RandomOps {
  uint64_t seed = 1;
  size_t count = 60;
  uint64_t device_sectors = 8192;
  uint64_t max_sectors = 256;  // of one operation
  uint64_t align = 1;          // sectors; first and count are multiples of it
  bool discards = false;
};

// The same numbers give the same list everywhere.
std::vector<DiskOp> random_ops(const RandomOps& options);

struct Views {
  std::vector<std::byte> snapshot;
  std::vector<std::byte> origin;
};

// `chunk` matters to discards alone.
Views replay(const std::vector<DiskOp>& ops, uint64_t device_bytes,
             ChunkSize chunk);

}  // namespace snapfs::test

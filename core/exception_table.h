// SPDX-License-Identifier: MIT
//
// The exceptions of one snapshot in memory: old chunk -> new chunk.
// Consecutive exceptions coalesce into runs. Externally synchronised: any
// number of readers, or one writer.
//
// Memory is what limits the number of exceptions, so a run takes 12 bytes: an
// ordered map of leaves, each a packed sorted array of up to kLeafRuns runs.
// The map is a hundredth of the whole; leaves split like those of a B+-tree.
// Random inserts leave leaves about 70 % full, ascending ones fill them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "core/chunk.h"
#include "core/exception.h"

namespace snapfs {

class ExceptionTable {
 public:
  // Chunk numbers on a COW device that the packed form can hold.
  static constexpr uint64_t kMaxNewChunk = (uint64_t{1} << 48) - 1;

  // Consecutive chunks that are alike.
  struct Stretch {
    bool excepted = false;
    uint64_t new_chunk = 0;  // of the first one, if excepted
    uint64_t count = 0;      // > 0
  };

  ExceptionTable();
  ~ExceptionTable();
  ExceptionTable(ExceptionTable&&) noexcept;
  ExceptionTable& operator=(ExceptionTable&&) noexcept;

  // The longest stretch that begins at `chunk`, at most `limit` chunks.
  // REQUIRES: limit > 0.
  Stretch find(uint64_t chunk, uint64_t limit) const;

  // Adds a run. False, and nothing is added, if one of its old chunks is there
  // already. REQUIRES: new chunks are at most kMaxNewChunk.
  bool insert(const ExceptionRun& run);

  // Removes exceptions. To do that without asking for memory, no run may begin
  // before them and reach into them: split_before() sees to that.
  // REQUIRES: each chunk is there, and the first has been split off.
  void erase(ChunkRange chunks) noexcept;
  void split_before(uint64_t chunk);

  // Number of exceptions, in chunks.
  uint64_t size() const { return size_; }

  // What the table occupies, in bytes, about.
  std::size_t memory_bytes() const;

 private:
  struct Leaf;
  // Key: every run of the leaf starts at it or above, and below the next key.
  using Leaves = std::map<uint64_t, std::unique_ptr<Leaf>>;

  Leaves::const_iterator leaf_of(uint64_t chunk) const;
  Leaves::iterator leaf_of(uint64_t chunk);
  uint64_t first_old_after(Leaves::const_iterator leaf, uint64_t none) const;
  Leaves::iterator leaf_for_insert(uint64_t chunk);
  uint64_t upper_bound_of(Leaves::iterator leaf) const;
  void insert_piece(Leaves::iterator it, ExceptionRun piece);
  Leaves::iterator make_room(Leaves::iterator it, uint64_t chunk);

  Leaves leaves_;
  uint64_t size_ = 0;
};

}  // namespace snapfs

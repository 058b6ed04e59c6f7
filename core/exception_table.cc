// SPDX-License-Identifier: MIT
#include "core/exception_table.h"

#include <algorithm>
#include <cassert>

namespace snapfs {
namespace {

constexpr unsigned kLeafRuns = 128;
constexpr uint64_t kMaxRun = uint64_t{1} << 16;  // chunks in one packed run

// Old chunks are kept as 32-bit distances from the key of their leaf, so a leaf
// never reaches across a multiple of this.
constexpr unsigned kRegionShift = 32;

constexpr uint64_t region_start(uint64_t chunk) {
  return chunk >> kRegionShift << kRegionShift;
}

}  // namespace

// Arrays rather than an array of structs: no padding, and the binary search
// touches the keys alone.
struct ExceptionTable::Leaf {
  explicit Leaf(uint64_t key) : base(key) {}

  uint64_t base;
  unsigned size = 0;
  uint32_t old_distance[kLeafRuns];
  uint32_t new_low[kLeafRuns];
  uint16_t new_high[kLeafRuns];
  uint16_t count_less_one[kLeafRuns];

  ExceptionRun get(unsigned i) const {
    return {base + old_distance[i], uint64_t{new_high[i]} << 32 | new_low[i],
            uint64_t{count_less_one[i]} + 1};
  }

  void set(unsigned i, const ExceptionRun& run) {
    old_distance[i] = static_cast<uint32_t>(run.old_chunk - base);
    new_low[i] = static_cast<uint32_t>(run.new_chunk);
    new_high[i] = static_cast<uint16_t>(run.new_chunk >> 32);
    count_less_one[i] = static_cast<uint16_t>(run.count - 1);
  }

  // Index of the first run that starts above `chunk`.
  // REQUIRES: base <= chunk, in the same region.
  unsigned upper(uint64_t chunk) const {
    auto distance = static_cast<uint32_t>(chunk - base);
    return static_cast<unsigned>(
        std::upper_bound(old_distance, old_distance + size, distance) -
        old_distance);
  }

  // Moves the runs from `from` on by `by` places.
  void shift(unsigned from, int by) {
    auto move = [&](auto* array) {
      if (by > 0) {
        std::copy_backward(array + from, array + size, array + size + by);
      } else {
        std::copy(array + from, array + size, array + from + by);
      }
    };
    move(old_distance);
    move(new_low);
    move(new_high);
    move(count_less_one);
    size = static_cast<unsigned>(static_cast<int>(size) + by);
  }
};

ExceptionTable::ExceptionTable() = default;
ExceptionTable::~ExceptionTable() = default;
ExceptionTable::ExceptionTable(ExceptionTable&&) noexcept = default;
ExceptionTable& ExceptionTable::operator=(ExceptionTable&&) noexcept = default;

// The last leaf whose key is not above `chunk`, or end().
ExceptionTable::Leaves::const_iterator ExceptionTable::leaf_of(
    uint64_t chunk) const {
  auto next = leaves_.upper_bound(chunk);
  return next == leaves_.begin() ? leaves_.end() : std::prev(next);
}

ExceptionTable::Leaves::iterator ExceptionTable::leaf_of(uint64_t chunk) {
  auto next = leaves_.upper_bound(chunk);
  return next == leaves_.begin() ? leaves_.end() : std::prev(next);
}

// The first old chunk in the leaves from `leaf` on, or `none`.
uint64_t ExceptionTable::first_old_after(Leaves::const_iterator leaf,
                                         uint64_t none) const {
  for (; leaf != leaves_.end(); ++leaf) {
    if (leaf->second->size != 0) return leaf->second->get(0).old_chunk;
  }
  return none;
}

ExceptionTable::Stretch ExceptionTable::find(uint64_t chunk,
                                             uint64_t limit) const {
  auto it = leaf_of(chunk);
  if (it == leaves_.end()) {
    uint64_t next = first_old_after(leaves_.begin(), chunk + limit);
    return {false, 0, std::min(limit, next - chunk)};
  }
  const Leaf* leaf = it->second.get();
  unsigned index = region_start(leaf->base) == region_start(chunk)
                       ? leaf->upper(chunk)
                       : leaf->size;
  bool inside = index > 0 && chunk < leaf->get(index - 1).old_end();
  if (!inside) {
    uint64_t next = index < leaf->size
                        ? leaf->get(index).old_chunk
                        : first_old_after(std::next(it), chunk + limit);
    return {false, 0, std::min(limit, next - chunk)};
  }
  ExceptionRun run = leaf->get(index - 1);
  Stretch found{true, run.new_chunk + (chunk - run.old_chunk),
                run.old_end() - chunk};
  // Runs that touch were stored apart where a packed one or a leaf was full.
  while (found.count < limit) {
    if (index == leaf->size) {
      if (++it == leaves_.end()) break;
      leaf = it->second.get();
      index = 0;
      continue;
    }
    ExceptionRun next = leaf->get(index++);
    if (next.old_chunk != chunk + found.count ||
        next.new_chunk != found.new_chunk + found.count) {
      break;
    }
    found.count += next.count;
  }
  found.count = std::min(found.count, limit);
  return found;
}

bool ExceptionTable::insert(const ExceptionRun& run) {
  assert(run.count > 0);
  assert(run.new_chunk + run.count - 1 <= kMaxNewChunk);
  Stretch there = find(run.old_chunk, run.count);
  if (there.excepted || there.count != run.count) return false;

  ExceptionRun rest = run;
  while (rest.count != 0) {
    auto leaf = leaf_for_insert(rest.old_chunk);
    uint64_t room = upper_bound_of(leaf) - rest.old_chunk;
    uint64_t count = std::min({rest.count, kMaxRun, room});
    insert_piece(leaf, {rest.old_chunk, rest.new_chunk, count});
    rest = {rest.old_chunk + count, rest.new_chunk + count, rest.count - count};
  }
  size_ += run.count;
  return true;
}

ExceptionTable::Leaves::iterator ExceptionTable::leaf_for_insert(
    uint64_t chunk) {
  auto next = leaves_.upper_bound(chunk);
  if (next != leaves_.begin()) {
    auto leaf = std::prev(next);
    if (region_start(leaf->first) == region_start(chunk)) return leaf;
  }
  uint64_t key = region_start(chunk);
  return leaves_.emplace_hint(next, key, std::make_unique<Leaf>(key));
}

// No run of `leaf` may reach this chunk.
uint64_t ExceptionTable::upper_bound_of(Leaves::iterator leaf) const {
  uint64_t region_end =
      region_start(leaf->first) + (uint64_t{1} << kRegionShift);
  auto next = std::next(leaf);
  return next == leaves_.end() ? region_end : std::min(region_end, next->first);
}

void ExceptionTable::insert_piece(Leaves::iterator it, ExceptionRun piece) {
  Leaf* leaf = it->second.get();
  unsigned index = leaf->upper(piece.old_chunk);
  auto joins = [](const ExceptionRun& a, const ExceptionRun& b) {
    return a.old_end() == b.old_chunk && a.new_chunk + a.count == b.new_chunk &&
           a.count + b.count <= kMaxRun;
  };
  bool joins_next = index < leaf->size && joins(piece, leaf->get(index));
  if (index > 0 && joins(leaf->get(index - 1), piece)) {
    ExceptionRun previous = leaf->get(index - 1);
    previous.count += piece.count;
    if (joins_next && joins(previous, leaf->get(index))) {
      previous.count += leaf->get(index).count;
      leaf->shift(index + 1, -1);
    }
    leaf->set(index - 1, previous);
    return;
  }
  if (joins_next) {
    piece.count += leaf->get(index).count;
    leaf->set(index, piece);
    return;
  }
  if (leaf->size == kLeafRuns) {
    it = make_room(it, piece.old_chunk);
    leaf = it->second.get();
    index = leaf->upper(piece.old_chunk);
  }
  leaf->shift(index, 1);
  leaf->set(index, piece);
}

// Splits a full leaf; returns the part that takes `chunk`. A chunk above all
// others of its region begins an empty leaf instead, so that ascending inserts
// fill leaves. In front of another leaf that would not do: inserts that descend
// towards a full leaf would begin one each.
ExceptionTable::Leaves::iterator ExceptionTable::make_room(Leaves::iterator it,
                                                           uint64_t chunk) {
  Leaf& full = *it->second;
  auto next = std::next(it);
  bool is_last =
      next == leaves_.end() || region_start(next->first) != region_start(chunk);
  if (is_last && full.upper(chunk) == full.size) {
    return leaves_.emplace_hint(std::next(it), chunk,
                                std::make_unique<Leaf>(chunk));
  }
  constexpr unsigned kHalf = kLeafRuns / 2;
  uint64_t key = full.get(kHalf).old_chunk;
  auto upper = std::make_unique<Leaf>(key);
  for (unsigned i = kHalf; i < kLeafRuns; ++i) {
    upper->set(i - kHalf, full.get(i));
  }
  upper->size = kLeafRuns - kHalf;
  full.size = kHalf;
  auto added = leaves_.emplace_hint(std::next(it), key, std::move(upper));
  return chunk < key ? it : added;
}

void ExceptionTable::split_before(uint64_t chunk) {
  auto it = leaf_of(chunk);
  if (it == leaves_.end()) return;
  const Leaf& leaf = *it->second;
  if (region_start(leaf.base) != region_start(chunk)) return;
  const unsigned index = leaf.upper(chunk);
  if (index == 0) return;
  const ExceptionRun run = leaf.get(index - 1);
  if (run.old_chunk == chunk || run.old_end() <= chunk) return;

  const uint64_t kept = chunk - run.old_chunk;
  auto into = leaf.size == kLeafRuns ? make_room(it, chunk) : it;
  // Where the run is now: making room may have moved it, or else has begun an
  // empty leaf behind it.
  Leaf& home = into->second->size != 0 ? *into->second : *it->second;
  home.set(home.upper(chunk) - 1, {run.old_chunk, run.new_chunk, kept});
  Leaf& target = *into->second;
  const unsigned place = target.upper(chunk);
  target.shift(place, 1);
  target.set(place, {chunk, run.new_chunk + kept, run.count - kept});
}

void ExceptionTable::erase(ChunkRange chunks) noexcept {
  size_ -= chunks.count;
  while (!chunks.empty()) {
    auto it = leaf_of(chunks.first);
    Leaf& leaf = *it->second;
    const unsigned index = leaf.upper(chunks.first) - 1;
    const ExceptionRun run = leaf.get(index);
    assert(run.old_chunk == chunks.first);
    const uint64_t count = std::min(run.count, chunks.count);
    if (count == run.count) {
      leaf.shift(index + 1, -1);
    } else {
      leaf.set(index, {run.old_chunk + count, run.new_chunk + count,
                       run.count - count});
    }
    if (leaf.size == 0) leaves_.erase(it);
    chunks = {chunks.first + count, chunks.count - count};
  }
}

std::size_t ExceptionTable::memory_bytes() const {
  // A node of the map: four words of links and colour, the pair, and what the
  // allocator adds to node and leaf.
  constexpr std::size_t kNode = 4 * sizeof(void*) + 2 * sizeof(uint64_t) + 16;
  return sizeof(*this) + leaves_.size() * (sizeof(Leaf) + kNode);
}

}  // namespace snapfs

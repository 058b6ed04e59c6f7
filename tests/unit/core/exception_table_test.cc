// SPDX-License-Identifier: MIT
#include "core/exception_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/seed.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kRegion = uint64_t{1} << 32;
constexpr uint64_t kLongestPackedRun = 65536;

bool operator==(const ExceptionTable::Stretch& a,
                const ExceptionTable::Stretch& b) {
  return a.excepted == b.excepted && a.count == b.count &&
         (!a.excepted || a.new_chunk == b.new_chunk);
}

std::string in_words(const ExceptionTable::Stretch& stretch) {
  return (stretch.excepted ? "at " + std::to_string(stretch.new_chunk)
                           : "none") +
         ", " + std::to_string(stretch.count) + " chunks";
}

#define EXPECT_STRETCH(found, excepted, new_chunk, count)                  \
  EXPECT_TRUE((found) ==                                                   \
              (ExceptionTable::Stretch{(excepted), (new_chunk), (count)})) \
      << in_words(found)

// The same exceptions kept one by one.
class Reference {
 public:
  bool insert(const ExceptionRun& run) {
    auto next = chunks_.lower_bound(run.old_chunk);
    if (next != chunks_.end() && next->first < run.old_end()) return false;
    for (uint64_t i = 0; i < run.count; ++i) {
      chunks_[run.old_chunk + i] = run.new_chunk + i;
    }
    return true;
  }

  ExceptionTable::Stretch find(uint64_t chunk, uint64_t limit) const {
    auto it = chunks_.lower_bound(chunk);
    if (it == chunks_.end() || it->first != chunk) {
      uint64_t end = it == chunks_.end() ? chunk + limit : it->first;
      return {false, 0, std::min(limit, end - chunk)};
    }
    ExceptionTable::Stretch found{true, it->second, 0};
    while (it != chunks_.end() && found.count < limit &&
           it->first == chunk + found.count &&
           it->second == found.new_chunk + found.count) {
      ++found.count;
      ++it;
    }
    return found;
  }

  void erase(ChunkRange chunks) {
    chunks_.erase(chunks_.lower_bound(chunks.first),
                  chunks_.lower_bound(chunks.end()));
  }

  const std::map<uint64_t, uint64_t>& chunks() const { return chunks_; }

 private:
  std::map<uint64_t, uint64_t> chunks_;
};

// Looks at every chunk up to `end`, with several limits.
void expect_same(const ExceptionTable& table, const Reference& reference,
                 uint64_t begin, uint64_t end) {
  ASSERT_EQ(table.size(), reference.chunks().size());
  for (uint64_t chunk = begin; chunk < end; ++chunk) {
    for (uint64_t limit : {uint64_t{1}, uint64_t{3}, end}) {
      auto found = table.find(chunk, limit);
      ASSERT_TRUE(found == reference.find(chunk, limit))
          << "chunk " << chunk << ", limit " << limit << ": found "
          << in_words(found) << ", expected "
          << in_words(reference.find(chunk, limit));
    }
  }
}

// Scattered exceptions, every second chunk, whose new chunks do not follow one
// another, inserted in the order of `order`.
void insert_scattered(ExceptionTable& table, Reference& reference,
                      const std::vector<uint64_t>& order) {
  uint64_t new_chunk = 2;
  for (uint64_t i : order) {
    ExceptionRun run{2 * i, new_chunk, 1};
    ASSERT_TRUE(table.insert(run));
    ASSERT_TRUE(reference.insert(run));
    new_chunk += 3;
  }
}

std::vector<uint64_t> ascending(uint64_t count) {
  std::vector<uint64_t> order(count);
  std::iota(order.begin(), order.end(), uint64_t{0});
  return order;
}

std::vector<uint64_t> descending(uint64_t count) {
  std::vector<uint64_t> order = ascending(count);
  std::reverse(order.begin(), order.end());
  return order;
}

double bytes_per_exception(const ExceptionTable& table) {
  return static_cast<double>(table.memory_bytes()) /
         static_cast<double>(table.size());
}

TEST(ExceptionTable, is_empty_at_first) {
  ExceptionTable table;

  EXPECT_EQ(table.size(), 0u);
  EXPECT_STRETCH(table.find(0, 10), false, 0, 10);
  EXPECT_STRETCH(table.find(kRegion * 5, 1), false, 0, 1);
}

TEST(ExceptionTable, finds_what_was_inserted_and_the_gaps_around_it) {
  ExceptionTable table;

  ASSERT_TRUE(table.insert({100, 7, 3}));

  EXPECT_EQ(table.size(), 3u);
  EXPECT_STRETCH(table.find(90, 100), false, 0, 10);
  EXPECT_STRETCH(table.find(99, 100), false, 0, 1);
  EXPECT_STRETCH(table.find(100, 100), true, 7, 3);
  EXPECT_STRETCH(table.find(102, 100), true, 9, 1);
  EXPECT_STRETCH(table.find(103, 100), false, 0, 100);
}

TEST(ExceptionTable, finds_no_more_than_the_limit) {
  ExceptionTable table;
  ASSERT_TRUE(table.insert({10, 50, 20}));

  EXPECT_STRETCH(table.find(0, 4), false, 0, 4);
  EXPECT_STRETCH(table.find(0, 10), false, 0, 10);
  EXPECT_STRETCH(table.find(0, 11), false, 0, 10);
  EXPECT_STRETCH(table.find(10, 5), true, 50, 5);
  EXPECT_STRETCH(table.find(12, 1), true, 52, 1);
  EXPECT_STRETCH(table.find(10, 20), true, 50, 20);
}

TEST(ExceptionTable, chunk_0_can_have_an_exception) {
  ExceptionTable table;

  ASSERT_TRUE(table.insert({0, 2, 1}));

  EXPECT_STRETCH(table.find(0, 9), true, 2, 1);
  EXPECT_STRETCH(table.find(1, 9), false, 0, 9);
}

TEST(ExceptionTable, a_run_that_follows_another_coalesces_with_it) {
  ExceptionTable table;
  ASSERT_TRUE(table.insert({10, 100, 2}));
  std::size_t memory = table.memory_bytes();

  ASSERT_TRUE(table.insert({12, 102, 3}));

  EXPECT_STRETCH(table.find(10, 99), true, 100, 5);
  EXPECT_EQ(table.memory_bytes(), memory);
}

TEST(ExceptionTable, a_run_in_front_of_another_coalesces_with_it) {
  ExceptionTable table;
  ASSERT_TRUE(table.insert({10, 100, 2}));

  ASSERT_TRUE(table.insert({7, 97, 3}));

  EXPECT_STRETCH(table.find(7, 99), true, 97, 5);
}

TEST(ExceptionTable, a_run_that_fills_a_gap_joins_both_sides) {
  ExceptionTable table;
  ASSERT_TRUE(table.insert({10, 100, 2}));
  ASSERT_TRUE(table.insert({15, 105, 2}));

  ASSERT_TRUE(table.insert({12, 102, 3}));

  EXPECT_STRETCH(table.find(10, 99), true, 100, 7);
  EXPECT_EQ(table.size(), 7u);
}

TEST(ExceptionTable, neighbours_whose_new_chunks_differ_stay_apart) {
  ExceptionTable table;
  ASSERT_TRUE(table.insert({10, 100, 2}));

  ASSERT_TRUE(table.insert({12, 103, 1}));
  ASSERT_TRUE(table.insert({13, 50, 1}));
  ASSERT_TRUE(table.insert({9, 101, 1}));

  EXPECT_STRETCH(table.find(9, 99), true, 101, 1);
  EXPECT_STRETCH(table.find(10, 99), true, 100, 2);
  EXPECT_STRETCH(table.find(12, 99), true, 103, 1);
  EXPECT_STRETCH(table.find(13, 99), true, 50, 1);
}

TEST(ExceptionTable, consecutive_exceptions_cost_no_memory) {
  ExceptionTable table;
  ASSERT_TRUE(table.insert({1000, 2, 1}));
  std::size_t memory = table.memory_bytes();

  for (uint64_t i = 1; i < 60000; ++i) {
    ASSERT_TRUE(table.insert({1000 + i, 2 + i, 1}));
  }

  EXPECT_EQ(table.memory_bytes(), memory);
  EXPECT_STRETCH(table.find(1000, kRegion), true, 2, 60000);
}

TEST(ExceptionTable, a_run_longer_than_a_packed_one_is_found_whole) {
  ExceptionTable table;
  constexpr uint64_t kCount = 3 * kLongestPackedRun + 17;

  ASSERT_TRUE(table.insert({5, 1000, kCount}));

  EXPECT_EQ(table.size(), kCount);
  EXPECT_STRETCH(table.find(5, kRegion), true, 1000, kCount);
  EXPECT_STRETCH(table.find(5 + kLongestPackedRun - 1, kRegion), true,
                 1000 + kLongestPackedRun - 1, kCount - kLongestPackedRun + 1);
  EXPECT_STRETCH(table.find(5 + kCount - 1, kRegion), true, 1000 + kCount - 1,
                 1);
  EXPECT_STRETCH(table.find(5 + kCount, 3), false, 0, 3);
  EXPECT_STRETCH(table.find(0, 3 * kRegion), false, 0, 5);
}

TEST(ExceptionTable, growth_past_the_longest_packed_run_is_found_whole) {
  ExceptionTable table;
  ASSERT_TRUE(table.insert({0, 2, kLongestPackedRun - 1}));

  for (uint64_t i = kLongestPackedRun - 1; i < kLongestPackedRun + 5; ++i) {
    ASSERT_TRUE(table.insert({i, 2 + i, 1}));
  }

  EXPECT_STRETCH(table.find(0, kRegion), true, 2, kLongestPackedRun + 5);
}

TEST(ExceptionTable, a_run_crosses_a_region_boundary) {
  ExceptionTable table;

  ASSERT_TRUE(table.insert({kRegion - 3, 10, 6}));

  EXPECT_STRETCH(table.find(kRegion - 3, 99), true, 10, 6);
  EXPECT_STRETCH(table.find(kRegion, 99), true, 13, 3);
  EXPECT_STRETCH(table.find(kRegion - 10, 99), false, 0, 7);
  EXPECT_STRETCH(table.find(kRegion + 3, 99), false, 0, 99);
  EXPECT_FALSE(table.insert({kRegion - 1, 99, 1}));
  EXPECT_FALSE(table.insert({kRegion, 99, 1}));
}

TEST(ExceptionTable, exceptions_of_different_regions_do_not_meet) {
  ExceptionTable table;
  ASSERT_TRUE(table.insert({7, 2, 1}));
  ASSERT_TRUE(table.insert({3 * kRegion + 7, 3, 1}));

  ASSERT_TRUE(table.insert({kRegion + 7, 4, 1}));

  EXPECT_STRETCH(table.find(7, kRegion), true, 2, 1);
  EXPECT_STRETCH(table.find(8, 2 * kRegion), false, 0, kRegion - 1);
  EXPECT_STRETCH(table.find(kRegion + 7, kRegion), true, 4, 1);
  EXPECT_STRETCH(table.find(2 * kRegion, 9 * kRegion), false, 0, kRegion + 7);
  EXPECT_STRETCH(table.find(3 * kRegion + 7, kRegion), true, 3, 1);
}

TEST(ExceptionTable, the_largest_new_chunk_is_kept) {
  ExceptionTable table;

  ASSERT_TRUE(table.insert({1, ExceptionTable::kMaxNewChunk - 1, 2}));

  EXPECT_STRETCH(table.find(2, 1), true, ExceptionTable::kMaxNewChunk, 1);
}

TEST(ExceptionTable, a_duplicate_is_refused_and_changes_nothing) {
  ExceptionTable table;
  Reference reference;
  for (ExceptionRun run : {ExceptionRun{10, 100, 5}, {20, 200, 5}}) {
    ASSERT_TRUE(table.insert(run));
    ASSERT_TRUE(reference.insert(run));
  }

  for (ExceptionRun run : {ExceptionRun{10, 100, 5},
                           {12, 500, 1},
                           {14, 500, 2},
                           {9, 500, 2},
                           {5, 500, 30},
                           {0, 500, 21},
                           {15, 500, 6},
                           {24, 500, 1}}) {
    EXPECT_FALSE(table.insert(run)) << run.old_chunk << "+" << run.count;
  }

  expect_same(table, reference, 0, 60);
}

TEST(ExceptionTable, a_moved_table_keeps_its_exceptions) {
  ExceptionTable table;
  ASSERT_TRUE(table.insert({10, 100, 5}));

  ExceptionTable moved = std::move(table);

  EXPECT_EQ(moved.size(), 5u);
  EXPECT_STRETCH(moved.find(10, 9), true, 100, 5);
}

TEST(ExceptionTable, leaves_split_under_ascending_inserts) {
  ExceptionTable table;
  Reference reference;

  insert_scattered(table, reference, ascending(3000));

  expect_same(table, reference, 0, 6010);
}

TEST(ExceptionTable, leaves_split_under_descending_inserts) {
  ExceptionTable table;
  Reference reference;

  insert_scattered(table, reference, descending(3000));

  expect_same(table, reference, 0, 6010);
}

TEST(ExceptionTable, leaves_split_under_random_inserts) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  ExceptionTable table;
  Reference reference;
  std::vector<uint64_t> order = ascending(3000);
  std::shuffle(order.begin(), order.end(), random);

  insert_scattered(table, reference, order);

  expect_same(table, reference, 0, 6010);
}

TEST(ExceptionTable, touching_runs_in_different_leaves_are_one_stretch) {
  ExceptionTable table;
  Reference reference;
  insert_scattered(table, reference, ascending(3000));

  // A run of 6000 chunks in two halves of alternating leaves: the odd chunks
  // come later, with new chunks that make everything consecutive.
  ExceptionTable run;
  for (uint64_t i : ascending(3000)) {
    ASSERT_TRUE(run.insert({2 * i, 10000 + 2 * i, 1}));
  }
  for (uint64_t i : descending(3000)) {
    ASSERT_TRUE(run.insert({2 * i + 1, 10001 + 2 * i, 1}));
  }

  EXPECT_STRETCH(run.find(0, kRegion), true, 10000, 6000);
  EXPECT_STRETCH(run.find(4321, kRegion), true, 14321, 1679);
  EXPECT_STRETCH(run.find(4321, 1000), true, 14321, 1000);
}

TEST(ExceptionTable, random_runs_agree_with_a_map) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr uint64_t kBegin = kRegion - 4000;
  constexpr uint64_t kEnd = kRegion + 4000;
  ExceptionTable table;
  Reference reference;
  uint64_t next_new = 2;

  for (int step = 0; step < 4000; ++step) {
    ExceptionRun run{kBegin + random() % (kEnd - kBegin), next_new,
                     1 + random() % 6};
    bool is_new = reference.insert(run);
    ASSERT_EQ(table.insert(run), is_new) << "step " << step;
    // Now and then the next run can join this one.
    if (is_new) next_new += run.count + (random() % 2);
  }

  expect_same(table, reference, kBegin - 5, kEnd + 5);
}

TEST(ExceptionTable, scattered_exceptions_cost_less_than_the_kernels) {
  for (const auto& order : {ascending(100000), descending(100000)}) {
    ExceptionTable table;
    Reference reference;
    insert_scattered(table, reference, order);
    EXPECT_LT(bytes_per_exception(table), 27);
  }
}

TEST(ExceptionTable, random_exceptions_cost_less_than_the_kernels) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  ExceptionTable table;

  for (uint64_t i = 0; i < 100000; ++i) {
    table.insert({random() % (8 * kRegion), 2 + 2 * i, 1});
  }

  EXPECT_LT(bytes_per_exception(table), 27);
}

// Somebody fills a part of the disk upwards, somebody else another one
// downwards: both ends of a gap are worked at.
TEST(ExceptionTable, descending_exceptions_above_others_cost_no_more) {
  ExceptionTable table;
  uint64_t new_chunk = 2;
  for (uint64_t i = 0; i < 128; ++i) {
    ASSERT_TRUE(table.insert({2 * i, new_chunk, 1}));
    new_chunk += 2;
  }

  for (uint64_t i = 20000; i > 1000; --i) {
    ASSERT_TRUE(table.insert({2 * i, new_chunk, 1}));
    new_chunk += 2;
  }

  EXPECT_LT(bytes_per_exception(table), 27);
}

TEST(ExceptionTable, ascending_exceptions_below_others_cost_no_more) {
  ExceptionTable table;
  uint64_t new_chunk = 2;
  for (uint64_t i = 50000; i < 50200; ++i) {
    ASSERT_TRUE(table.insert({2 * i, new_chunk, 1}));
    new_chunk += 2;
  }

  for (uint64_t i = 0; i < 20000; ++i) {
    ASSERT_TRUE(table.insert({2 * i, new_chunk, 1}));
    new_chunk += 2;
  }

  EXPECT_LT(bytes_per_exception(table), 27);
}

void erase(ExceptionTable& table, ChunkRange chunks) {
  table.split_before(chunks.first);
  table.erase(chunks);
}

TEST(ExceptionTable, erases_either_end_and_the_middle_of_a_run) {
  for (ChunkRange gone : {ChunkRange{10, 3}, ChunkRange{27, 3},
                          ChunkRange{15, 4}, ChunkRange{10, 20}}) {
    ExceptionTable table;
    Reference reference;
    ASSERT_TRUE(table.insert({10, 50, 20}));
    ASSERT_TRUE(reference.insert({10, 50, 20}));

    erase(table, gone);
    reference.erase(gone);

    expect_same(table, reference, 0, 40);
  }
}

TEST(ExceptionTable, a_split_changes_nothing_that_can_be_seen) {
  ExceptionTable table;
  Reference reference;
  ASSERT_TRUE(table.insert({10, 50, 20}));
  ASSERT_TRUE(reference.insert({10, 50, 20}));

  for (uint64_t chunk : {9u, 10u, 11u, 20u, 29u, 30u, 31u})
    table.split_before(chunk);

  expect_same(table, reference, 0, 40);
}

TEST(ExceptionTable, erasing_gives_the_memory_back) {
  ExceptionTable table;
  const std::size_t empty = table.memory_bytes();
  for (uint64_t i = 0; i < 5000; ++i) {
    ASSERT_TRUE(table.insert({2 * i, 2 + 3 * i, 1}));
  }

  for (uint64_t i = 5000; i-- != 0;) erase(table, {2 * i, 1});

  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.memory_bytes(), empty);
}

TEST(ExceptionTable, full_leaves_are_split_wherever_a_run_is_cut) {
  for (uint64_t cut = 0; cut < 128; ++cut) {
    ExceptionTable table;
    Reference reference;
    for (uint64_t i = 0; i < 128; ++i) {  // a leaf full of runs of 3
      ExceptionRun run{4 * i, 2 + 7 * i, 3};
      ASSERT_TRUE(table.insert(run));
      ASSERT_TRUE(reference.insert(run));
    }

    erase(table, {4 * cut + 1, 1});
    reference.erase({4 * cut + 1, 1});

    expect_same(table, reference, 0, 4 * 128);
  }
}

TEST(ExceptionTable, random_erasures_match_a_map) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr uint64_t kChunks = 1500;
  // Beside a region's end, which no packed run crosses.
  constexpr uint64_t kBase = kRegion - kChunks / 2;
  ExceptionTable table;
  Reference reference;
  uint64_t new_chunk = 2;

  for (unsigned round = 0; round < 40; ++round) {
    for (unsigned i = 0; i < 60; ++i) {
      ExceptionRun run{kBase + random() % kChunks, new_chunk, 1 + random() % 9};
      new_chunk += run.count + random() % 2;
      ASSERT_EQ(table.insert(run), reference.insert(run));
    }
    for (unsigned i = 0; i < 40 && table.size() != 0; ++i) {
      uint64_t first = kBase + random() % kChunks;
      ExceptionTable::Stretch found = reference.find(first, 1 + random() % 12);
      if (!found.excepted) continue;
      erase(table, {first, found.count});
      reference.erase({first, found.count});
    }
    expect_same(table, reference, kBase - 2, kBase + kChunks + 12);
  }
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "core/chunk.h"

#include <gtest/gtest.h>

namespace snapfs::test {
namespace {

TEST(ChunkSize, powers_of_two_up_to_a_gibibyte_are_valid) {
  for (uint64_t sectors = 1; sectors <= kMaxChunkSectors; sectors *= 2) {
    EXPECT_TRUE(ChunkSize::is_valid(sectors)) << sectors;
    EXPECT_EQ(ChunkSize(sectors).sectors(), sectors);
    EXPECT_EQ(ChunkSize(sectors).bytes(), sectors * 512);
  }
  for (uint64_t sectors : {0u, 3u, 12u, 1u << 22}) {
    EXPECT_FALSE(ChunkSize::is_valid(sectors)) << sectors;
  }
}

TEST(ChunkSize, bytes_lie_in_chunks) {
  constexpr ChunkSize size(8);

  EXPECT_EQ(size.chunk_of(4095), 0u);
  EXPECT_EQ(size.chunk_of(4096), 1u);
  EXPECT_EQ(size.start_of(3), 12288u);
  EXPECT_EQ(size.offset_in_chunk(4097), 1u);
  EXPECT_EQ(size.bytes_of({2, 3}), (ByteRange{8192, 12288}));
}

TEST(ChunkSize, a_range_is_covered_by_the_chunks_it_touches) {
  constexpr ChunkSize size(8);

  EXPECT_EQ(size.cover({0, 4096}), (ChunkRange{0, 1}));
  EXPECT_EQ(size.cover({4095, 2}), (ChunkRange{0, 2}));
  EXPECT_EQ(size.cover({4096, 1}), (ChunkRange{1, 1}));
  EXPECT_EQ(size.cover({5000, 0}), (ChunkRange{1, 0}));
}

TEST(ByteRange, overlapping_is_having_a_byte_in_common) {
  constexpr ByteRange range{10, 10};

  EXPECT_TRUE(range.overlaps({0, 11}));
  EXPECT_TRUE(range.overlaps({19, 5}));
  EXPECT_TRUE(range.overlaps({12, 1}));
  EXPECT_FALSE(range.overlaps({0, 10}));
  EXPECT_FALSE(range.overlaps({20, 5}));
}

TEST(ByteRange, clipping_keeps_what_lies_below_the_limit) {
  EXPECT_EQ(clip({10, 10}, 30), (ByteRange{10, 10}));
  EXPECT_EQ(clip({10, 10}, 15), (ByteRange{10, 5}));
  EXPECT_TRUE(clip({10, 10}, 5).empty());
  EXPECT_TRUE(clip({10, 10}, 10).empty());
}

TEST(ByteRange, an_intersection_is_what_both_have) {
  EXPECT_EQ(intersect({0, 10}, {5, 10}), (ByteRange{5, 5}));
  EXPECT_EQ(intersect({0, 10}, {2, 3}), (ByteRange{2, 3}));
  EXPECT_TRUE(intersect({0, 10}, {10, 5}).empty());
  EXPECT_TRUE(intersect({20, 10}, {0, 5}).empty());
}

}  // namespace
}  // namespace snapfs::test

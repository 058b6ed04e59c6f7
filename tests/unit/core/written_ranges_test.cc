// SPDX-License-Identifier: MIT
#include "core/written_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/support/failing_allocations.h"

namespace snapfs {
namespace {

using Ranges = std::vector<ByteRange>;

TEST(WrittenRanges, ranges_that_touch_or_overlap_are_one) {
  WrittenRanges written;

  written.add({100, 10});
  written.add({120, 10});
  EXPECT_EQ(written.ranges(), (Ranges{{100, 10}, {120, 10}}));
  written.add({110, 10});
  EXPECT_EQ(written.ranges(), (Ranges{{100, 30}}));
  written.add({90, 20});
  EXPECT_EQ(written.ranges(), (Ranges{{90, 40}}));
  written.add({95, 5});
  EXPECT_EQ(written.ranges(), (Ranges{{90, 40}}));
  written.add({0, 1000});
  EXPECT_EQ(written.ranges(), (Ranges{{0, 1000}}));
}

TEST(WrittenRanges, nothing_is_no_range) {
  WrittenRanges written;

  written.add({100, 0});

  EXPECT_EQ(written.ranges(), Ranges{});
}

TEST(WrittenRanges, what_is_too_scattered_is_rounded_outwards) {
  WrittenRanges written(4);

  for (uint64_t i = 0; i < 4; ++i) written.add({1000 + 5000 * i, 8});
  EXPECT_THAT(written.ranges(), testing::SizeIs(4));
  written.add({21000, 8});

  // Blocks of 4 KiB: 0, 1, 2, 3 and 5.
  EXPECT_EQ(written.ranges(), (Ranges{{0, 4 * 4096}, {5 * 4096, 4096}}));
  written.add({40960 + 1, 1});
  EXPECT_EQ(written.ranges(),
            (Ranges{{0, 4 * 4096}, {5 * 4096, 4096}, {40960, 4096}}));
}

TEST(WrittenRanges, its_memory_is_bounded_and_nothing_is_forgotten) {
  WrittenRanges written(16);
  constexpr uint64_t kStep = 1 << 20;

  for (uint64_t i = 0; i < 1000; ++i) written.add({i * i * kStep, 512});

  const Ranges ranges = written.ranges();
  EXPECT_LE(ranges.size(), 16u);
  for (uint64_t i = 0; i < 1000; ++i) {
    const bool is_there =
        std::any_of(ranges.begin(), ranges.end(), [&](const ByteRange& range) {
          return range.offset <= i * i * kStep &&
                 range.end() >= i * i * kStep + 512;
        });
    EXPECT_TRUE(is_there) << i;
  }
}

TEST(WrittenRanges, without_memory_everything_counts_as_written) {
  WrittenRanges written;
  written.add({0, 512});

  {
    const test::FailingAllocation failing(0);
    written.add({4096, 512});
  }

  const Ranges ranges = written.ranges();
  ASSERT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges[0].offset, 0u);
  EXPECT_GT(ranges[0].length, uint64_t{1} << 60);
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/exception_store.h"

#include <gtest/gtest.h>

namespace snapfs::test {
namespace {

using Runs = std::vector<ExceptionRun>;

TEST(PairUp, one_range_and_one_reserved_range_are_one_run) {
  EXPECT_EQ(pair_up({{100, 5}}, {1, {{7, 5}}}), (Runs{{100, 7, 5}}));
}

TEST(PairUp, gaps_on_either_side_begin_a_new_run) {
  EXPECT_EQ(pair_up({{10, 2}, {20, 4}}, {1, {{30, 3}, {34, 3}}}),
            (Runs{{10, 30, 2}, {20, 32, 1}, {21, 34, 3}}));
}

TEST(PairUp, gaps_at_the_same_place_are_one) {
  EXPECT_EQ(pair_up({{10, 2}, {20, 1}}, {1, {{30, 2}, {34, 1}}}),
            (Runs{{10, 30, 2}, {20, 34, 1}}));
}

TEST(PairUp, nothing_pairs_with_nothing) {
  EXPECT_EQ(pair_up({}, {1, {}}), Runs{});
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "core/table.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "core/events.h"

namespace snapfs::test {
namespace {

TEST(TableError, it_begins_with_the_place) {
  TableError error({"dir/base.yaml", 3, 7}, "no such key", EINVAL);

  EXPECT_STREQ(error.what(), "dir/base.yaml:3:7: no such key");
  EXPECT_EQ(error.message(), "no such key");
  EXPECT_EQ(error.error(), EINVAL);
  EXPECT_EQ(error.place().line, 3u);
}

TEST(TableError, unknown_parts_of_the_place_are_left_out) {
  EXPECT_STREQ(TableError({"f", 3, 0}, "x", 1).what(), "f:3: x");
  EXPECT_STREQ(TableError({"f", 0, 0}, "x", 1).what(), "f: x");
  EXPECT_STREQ(TableError({}, "x", 1).what(), "x");
}

TEST(StoreType, they_are_written_as_dmsetup_does) {
  EXPECT_STREQ(to_string(StoreType::persistent), "P");
  EXPECT_STREQ(to_string(StoreType::persistent_overflow), "PO");
  EXPECT_STREQ(to_string(StoreType::transient), "N");
}

TEST(EventKind, each_has_a_word) {
  EXPECT_STREQ(to_string(EventKind::load), "load");
  EXPECT_STREQ(to_string(EventKind::refuse), "refuse");
  EXPECT_STREQ(to_string(EventKind::remove), "remove");
  EXPECT_STREQ(to_string(EventKind::invalid), "invalid");
  EXPECT_STREQ(to_string(EventKind::overflow), "overflow");
  EXPECT_STREQ(to_string(EventKind::error), "error");
}

}  // namespace
}  // namespace snapfs::test

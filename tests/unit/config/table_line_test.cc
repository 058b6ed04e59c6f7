// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "tests/unit/config/read_one.h"

namespace snapfs {
namespace {

SnapshotTable snapshot_line(const std::string& arguments) {
  return test::read_snapshot("table: 0 8192 snapshot " + arguments + "\n");
}

TEST(TableLine, origin) {
  OriginTable table = test::read_origin("table: 0 8192 snapshot-origin 254:0");
  EXPECT_EQ(table.device, "/dev/block/254:0");
  EXPECT_EQ(table.length_sectors, 8192u);
  EXPECT_EQ(table.device_place.prefix(), "f.yaml:1:31: ");
}

TEST(TableLine, snapshot) {
  SnapshotTable table = snapshot_line("/dev/a 254:1 P 16 1 discard_zeroes_cow");
  EXPECT_EQ(table.origin, "/dev/a");
  EXPECT_EQ(table.origin_path, "/dev/a");
  EXPECT_EQ(table.cow.path, "/dev/block/254:1");
  EXPECT_EQ(table.store, StoreType::persistent);
  EXPECT_EQ(table.chunk_sectors, 16u);
  EXPECT_TRUE(table.chunk_given);
  EXPECT_TRUE(table.discard_zeroes_cow);
  EXPECT_FALSE(table.discard_passdown_origin);
  EXPECT_EQ(table.length_sectors, 8192u);
  EXPECT_EQ(table.origin_place.prefix(), "f.yaml:1:24: ");
  EXPECT_EQ(table.cow_place.prefix(), "f.yaml:1:31: ");
  EXPECT_EQ(table.chunk_place.prefix(), "f.yaml:1:39: ");
}

TEST(TableLine, merge) {
  SnapshotTable table = test::read_snapshot(
      "table: 0 8192 snapshot-merge /dev/a 254:1 P 16\n"
      "merge_rate: 1MiB\nalso_as: [night]\n");
  EXPECT_EQ(table.origin, "/dev/a");
  EXPECT_EQ(table.cow.path, "/dev/block/254:1");
  ASSERT_TRUE(table.merge);
  EXPECT_EQ(table.merge->rate, uint64_t{1} << 20);
  EXPECT_EQ(table.merge->also_as, std::vector<std::string>{"night"});
  EXPECT_FALSE(snapshot_line("a c P 8").merge);
}

TEST(TableLine, goes_with_the_keys_that_no_line_has) {
  Table table = test::read_one(
      "table: 0 8 snapshot a c P 8\nname: x\nmode: 600\nread_only: true\n"
      "commit_interval: 1s\ninitialise: force\nstale: accept\n"
      "activate: now\n");
  EXPECT_EQ(table.name, "x");
  EXPECT_EQ(table.attributes.mode, 0600u);
  EXPECT_EQ(table.activate, Activate::now);
  auto& snapshot = std::get<SnapshotTable>(table.target);
  EXPECT_TRUE(snapshot.read_only);
  EXPECT_EQ(snapshot.commit_interval, std::chrono::seconds(1));
  EXPECT_TRUE(snapshot.cow.force_initialise);
  EXPECT_TRUE(snapshot.cow.accept_stale);
}

TEST(TableLine, chunk_size_zero_leaves_it_to_the_header) {
  EXPECT_EQ(snapshot_line("a c P 0").chunk_sectors, 0u);
}

TEST(TableLine, features_in_either_case_may_be_repeated) {
  SnapshotTable table =
      snapshot_line("a c P 8 2 Discard_Zeroes_COW discard_zeroes_cow");
  EXPECT_TRUE(table.discard_zeroes_cow);
  EXPECT_FALSE(table.discard_passdown_origin);
}

TEST(TableLine, what_follows_the_features_is_ignored) {
  EXPECT_FALSE(snapshot_line("a c P 8 0 bogus").discard_zeroes_cow);
  EXPECT_TRUE(
      snapshot_line("a c P 8 1 discard_zeroes_cow x y").discard_zeroes_cow);
}

TEST(TableLine, backslashes_quote) {
  EXPECT_EQ(snapshot_line("a\\ b c\\\\d P 8").origin, "a b");
  EXPECT_EQ(snapshot_line("a\\ b c\\\\d P 8").cow.path, "/base/c\\d");
}

TEST(TableLine, relative_paths_and_names) {
  SnapshotTable table = snapshot_line("base sub/c N 8");
  EXPECT_EQ(table.origin, "base");
  EXPECT_EQ(table.origin_path, "/base/base");
  EXPECT_EQ(table.cow.path, "/base/sub/c");
}

TEST(TableLine, blanks_comments_and_empty_lines) {
  for (const char* text :
       {"table: '  0\t8192  snapshot-origin   /dev/a  '",
        "table: |\n  # was: 0 8192 snapshot-origin /dev/b\n\n"
        "  0 8192 snapshot-origin /dev/a\n",
        "table: \"\\n0 8192 snapshot-origin /dev/a\\n\"",
        "table:\n  0 8192\n  snapshot-origin\n  /dev/a\n"})
    EXPECT_EQ(test::read_origin(text).device, "/dev/a") << text;
}

TEST(TableLine, arguments_of_a_quoted_line_have_their_places) {
  EXPECT_EQ(test::read_origin("table: \"0 8 snapshot-origin a\"")
                .device_place.prefix(),
            "f.yaml:1:29: ");
}

// Where escapes or folding move the text, the line's own place must do.
TEST(TableLine, arguments_of_an_escaped_line_have_its_place) {
  EXPECT_EQ(test::read_origin("table: \"0 8 snapshot-origin \\x61\"")
                .device_place.prefix(),
            "f.yaml:1:8: ");
}

}  // namespace
}  // namespace snapfs

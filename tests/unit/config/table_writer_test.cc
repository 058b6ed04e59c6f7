// SPDX-License-Identifier: MIT
#include "config/table_writer.h"

#include <gtest/gtest.h>

#include "tests/unit/config/read_one.h"

namespace snapfs {
namespace {

void expect_same(const Table& table, const Table& read) {
  EXPECT_EQ(read.name, table.name);
  EXPECT_EQ(read.attributes.mode, table.attributes.mode);
  EXPECT_EQ(read.attributes.uid, table.attributes.uid);
  EXPECT_EQ(read.attributes.gid, table.attributes.gid);
  const auto& wanted = std::get<OriginTable>(table.target);
  const auto& found = std::get<OriginTable>(read.target);
  EXPECT_EQ(found.device, wanted.device);
  EXPECT_EQ(found.length_sectors, wanted.length_sectors);
  EXPECT_EQ(found.read_only, wanted.read_only);
}

TEST(TableWriter, what_is_written_reads_back_the_same) {
  for (const char* device :
       {"/dev/a", "/srv/my \"vm\" #1: x.img", "/a\\b", "/\xc3\xa4"}) {
    Table table;
    table.name = "base";
    OriginTable origin;
    origin.device = device;
    table.target = origin;
    expect_same(table, test::read_one(origin_text(table)));

    origin.length_sectors = 2048;
    origin.read_only = true;
    table.target = origin;
    table.attributes.mode = 0640;
    table.attributes.uid = 107;
    table.attributes.gid = 0;
    expect_same(table, test::read_one(origin_text(table)));
  }
}

TEST(TableWriter, a_merge_reads_back_the_same) {
  Table table;
  table.name = "base";
  table.activate = Activate::now;
  table.attributes.mode = 0640;
  SnapshotTable snapshot;
  snapshot.origin = "/srv/my \"vm\" #1: x.img";
  snapshot.cow.path = "/a\\b";
  snapshot.store = StoreType::persistent_overflow;
  snapshot.merge.emplace();
  snapshot.merge->rate = 5120;
  snapshot.merge->also_as = {"null", "snap"};
  snapshot.merge->force = true;
  table.target = snapshot;

  const Table read = test::read_one(merge_text(table));
  EXPECT_EQ(read.name, "base");
  EXPECT_EQ(read.activate, Activate::now);
  EXPECT_EQ(read.attributes.mode, 0640u);
  const auto& found = std::get<SnapshotTable>(read.target);
  EXPECT_EQ(found.origin, snapshot.origin);
  EXPECT_EQ(found.cow.path, snapshot.cow.path);
  EXPECT_EQ(found.store, snapshot.store);
  ASSERT_TRUE(found.merge);
  EXPECT_EQ(found.merge->rate, 5120u);
  EXPECT_EQ(found.merge->also_as, snapshot.merge->also_as);
  EXPECT_TRUE(found.merge->force);
}

TEST(TableWriter, a_salvage_reads_back_the_same) {
  Table table;
  table.name = "left";
  table.attributes.uid = 7;
  SnapshotTable snapshot;
  snapshot.origin = "base \"1\"";
  snapshot.cow.path = "/a\\b";
  snapshot.length_sectors = 80;
  table.target = snapshot;

  const Table read = test::read_one(salvage_text(table));
  EXPECT_EQ(read.name, "left");
  EXPECT_EQ(read.attributes.uid, 7u);
  const auto& found = std::get<SnapshotTable>(read.target);
  EXPECT_TRUE(found.salvage);
  EXPECT_TRUE(found.read_only);
  EXPECT_EQ(found.origin, snapshot.origin);
  EXPECT_EQ(found.cow.path, snapshot.cow.path);
  EXPECT_EQ(found.length_sectors, 80u);
}

}  // namespace
}  // namespace snapfs

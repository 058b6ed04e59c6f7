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

}  // namespace
}  // namespace snapfs

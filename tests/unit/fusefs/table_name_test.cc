// SPDX-License-Identifier: MIT
#include "fusefs/table_name.h"

#include <gtest/gtest.h>

namespace snapfs {
namespace {

using Kind = TableName::Kind;

void expect(const char* file, Kind kind, const char* device = "") {
  TableName name = parse_table_name(file);
  EXPECT_EQ(kind, name.kind) << file;
  EXPECT_EQ(device, name.device) << file;
}

TEST(TableName, table_is_a_device_name_with_yaml) {
  expect("nightly.yaml", Kind::table, "nightly");
  expect("a.b-c_d+1.yaml", Kind::table, "a.b-c_d+1");
}

TEST(TableName, companions_are_told_apart) {
  expect("x.rejected", Kind::rejected, "x");
  expect("x.next.yaml", Kind::next, "x");
}

TEST(TableName, names_that_editors_make_are_scratch) {
  for (const char* file : {".x.yaml.swp", ".x.yaml.swx", "4913", "x.yaml~",
                           "sedA1b2C3", ".#x.yaml", "#x.yaml#", "x.yaml.new",
                           ".x.yaml.Xy12ab", "x.yml", ".rejected"}) {
    expect(file, Kind::scratch);
  }
}

TEST(TableName, yaml_that_names_no_device_is_a_mistake) {
  expect("two words.yaml", Kind::unusable);
  expect("-x.yaml", Kind::unusable);
  expect("x.rejected.yaml", Kind::unusable);
}

}  // namespace
}  // namespace snapfs

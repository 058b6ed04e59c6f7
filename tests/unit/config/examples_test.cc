// SPDX-License-Identifier: MIT
//
// The examples beside the manual are read here, and the manual's are the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/table_reader.h"

namespace snapfs {
namespace {

std::filesystem::path config_dir() {
  return std::filesystem::path(SNAPFS_SOURCE_DIR) / "config";
}

TEST(Examples, are_a_directory_of_tables) {
  Spec spec = read_spec((config_dir() / "examples").string());
  std::vector<std::string> names;
  for (const Table& table : spec.tables) names.push_back(table.name);
  EXPECT_THAT(names, testing::ElementsAre("base", "dmsetup", "nightly", "data",
                                          "log", "data-before-upgrade",
                                          "log-before-upgrade", "scratch"));
}

// Literal blocks of the manual that look like tables: nothing is indented, so
// each line of them is a key, a marker or a list.
std::vector<std::string> examples_of_manual() {
  std::ifstream manual(config_dir() / "snapfs-table.5");
  std::vector<std::string> blocks;
  bool is_inside = false;
  for (std::string line; std::getline(manual, line);) {
    if (line == ".Ed") is_inside = false;
    if (is_inside) blocks.back() += line + "\n";
    if (line.rfind(".Bd -literal", 0) == 0) {
      is_inside = true;
      blocks.emplace_back();
    }
  }
  return blocks;
}

TEST(Examples, of_the_manual_are_tables) {
  std::vector<std::string> blocks = examples_of_manual();
  ASSERT_EQ(blocks.size(), 8u);
  for (const std::string& block : blocks)
    EXPECT_NO_THROW(read_tables(block, {"snapfs-table.5", "/", "example"}))
        << block;
}

// A key that the reader knows and the manual does not is not documented.
TEST(Examples, manual_names_every_key) {
  std::ifstream manual(config_dir() / "snapfs-table.5");
  std::stringstream text;
  text << manual.rdbuf();
  for (const char* key :
       {"name",       "target",    "length",          "read_only",  "mode",
        "uid",        "gid",       "activate",        "device",     "origin",
        "cow",        "path",      "create",          "size",       "store",
        "chunk_size", "features",  "commit_interval", "initialise", "stale",
        "table",      "wait",      "merge_rate",      "also_as",    "force",
        "when_full",  "thresholds"})
    EXPECT_NE(text.str().find(std::string(".It Cm ") + key + " :"),
              std::string::npos)
        << key;
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/saved_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/memory_opener.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

using testing::ElementsAre;

class SavedTables : public testing::Test {
 protected:
  SavedTables() {
    opener_.add("/c", 1 << 20);
    opener_.add("/d", 1 << 20);
    opener_.add_alias("/alias", "/c");
  }
  void add(const std::string& name, const std::string& cow,
           const std::string& from = "") {
    spec_.tables.push_back(table(name, cow, from));
  }
  void add_waiting(const std::string& name, const std::string& cow,
                   std::vector<std::string> group = {}) {
    spec_.waiting.push_back(table(name, cow, ""));
    spec_.waiting.back().waits = true;
    spec_.waiting.back().group = std::move(group);
  }
  std::vector<std::string> left() {
    drop_replaced(spec_, opener_, events_);
    std::vector<std::string> names;
    for (const Table& table : spec_.tables) names.push_back(table.name);
    for (const Table& table : spec_.waiting) names.push_back(table.name + "+");
    return names;
  }
  static Table table(const std::string& name, const std::string& cow,
                     const std::string& from) {
    Table made = snapshot_table(name, "o", cow, StoreType::persistent, 8);
    made.text = "target: snapshot\norigin: o\ncow: " + cow + "\n";
    made.handed_over_from = from;
    return made;
  }

  MemoryOpener opener_;
  EventRecorder events_;
  Spec spec_;
};

TEST_F(SavedTables, the_table_that_took_the_store_over_is_taken) {
  add("a", "/c");
  add("b", "/c", "a");
  EXPECT_THAT(left(), ElementsAre("b"));
  ASSERT_EQ(events_.events().size(), 1u);
  EXPECT_EQ(events_.events()[0].device, "b");
}

TEST_F(SavedTables, the_cow_is_known_by_any_path) {
  add("a", "/c");
  add("b", "/alias", "a");
  EXPECT_THAT(left(), ElementsAre("b"));
}

TEST_F(SavedTables, a_table_of_that_name_on_another_cow_is_another_one) {
  add("a", "/d");
  add("b", "/c", "a");
  EXPECT_THAT(left(), ElementsAre("a", "b"));
}

TEST_F(SavedTables, a_file_that_is_still_to_be_made_is_known_by_its_path) {
  add("a", "/none");
  add("b", "/none", "a");
  EXPECT_THAT(left(), ElementsAre("b"));
}

TEST_F(SavedTables, of_a_chain_the_end_is_taken) {
  add("a", "/c");
  add("b", "/c", "a");
  add("c", "/c", "b");
  EXPECT_THAT(left(), ElementsAre("c"));
}

TEST_F(SavedTables, of_two_that_name_each_other_one_is_taken) {
  add("a", "/c", "b");
  add("b", "/c", "a");
  EXPECT_EQ(left().size(), 1u);
}

TEST_F(SavedTables, what_waits_and_is_live_already_waits_no_more) {
  add("a", "/c");
  add_waiting("a", "/c");
  add_waiting("b", "/c");
  EXPECT_THAT(left(), ElementsAre("a", "b+"));
}

TEST_F(SavedTables, what_was_loaded_together_is_loaded_together) {
  add_waiting("a", "/c", {"c"});
  add_waiting("b", "/d");
  add_waiting("c", "/d", {"a", "gone"});
  std::vector<std::vector<Table>> groups = waiting_groups(spec_);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].size(), 2u);
  EXPECT_EQ(groups[0][1].name, "c");
  EXPECT_EQ(groups[1][0].name, "b");
}

}  // namespace
}  // namespace snapfs::test

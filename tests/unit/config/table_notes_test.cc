// SPDX-License-Identifier: MIT
#include "config/table_notes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/table_reader.h"
#include "core/table.h"

namespace snapfs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Table read_one(const std::string& text) {
  return read_tables(text, {"t.yaml", "/spec", "t"}).at(0);
}

std::string error_of(const std::string& text) {
  try {
    read_one(text);
  } catch (const TableError& error) {
    return error.what();
  }
  return "no error";
}

// The ways to write a table.
const std::string kTexts[] = {
    "target: snapshot\norigin: a\ncow: b\n",
    "target: snapshot\norigin: a\ncow: b",
    "# why\n\ntarget: snapshot  # what\n# and\norigin: a\ncow: {path: b}\n# "
    "end\n",
    "---\ntarget: snapshot\norigin: a\ncow: b\n...\n",
    "# why\n--- # here\n  target: snapshot\n  origin: a\n  cow:\n    path: b\n",
    "{target: snapshot, origin: a, cow: b}\n",
    "--- {\n  \"target\": \"snapshot\",\n  \"origin\": \"a\", \"cow\": "
    "\"b\"\n}\n",
    "%YAML 1.2\n---\ntarget: snapshot\norigin: a\ncow: b\n",
    "target: snapshot\r\norigin: a\r\ncow: b\r\n",
    "\xef\xbb\xbftarget: snapshot\norigin: a\ncow: b\n",
    "? target\n: snapshot\n? origin\n: a\n? cow\n: b\n",
    "table: |\n  0 8 snapshot a b P 16\n",
    "name: t\ntarget: snapshot\norigin: a\ncow: b\nfeatures:\n"
    "- discard_zeroes_cow\n",
    "target: snapshot\norigin: '\xc3\xa4'\ncow: b\n",
};

TEST(TableNotes, the_device_of_a_merge_is_read_back) {
  for (const char* device : {"/srv/my \"vm\" #1: x, y.img", "/a\\b"}) {
    for (const std::string text :
         {"target: snapshot-merge\norigin: t\ncow: b\n",
          "{target: snapshot-merge, origin: t, cow: b}\n",
          "table: 0 8 snapshot-merge t b P 16\n"}) {
      const std::string noted = with_notes(text, {.origin_device = device});
      EXPECT_EQ(std::get<SnapshotTable>(read_one(noted).target).origin_path,
                device)
          << noted;
      EXPECT_EQ(without_notes(noted), text);
      EXPECT_TRUE(same_table(noted, text)) << noted;
    }
  }
}

TEST(TableNotes, notes_are_read_back_and_taken_out_again) {
  for (const std::string& text : kTexts) {
    std::string noted = with_notes(text, {.name = "t",
                                          .handed_over_from = "old",
                                          .handed_over_with = {"b", "null"},
                                          .waits = true});
    Table table = read_one(noted);
    EXPECT_EQ(table.name, "t") << noted;
    EXPECT_EQ(table.handed_over_from, "old") << noted;
    EXPECT_THAT(table.group, ElementsAre("b", "null")) << noted;
    EXPECT_TRUE(table.waits) << noted;
    EXPECT_TRUE(same_table(noted, text)) << noted;
    EXPECT_EQ(std::get<SnapshotTable>(table.target).cow.path, "/spec/b");

    Table plain = read_one(without_notes(noted));
    EXPECT_EQ(plain.handed_over_from, "") << noted;
    EXPECT_TRUE(plain.group.empty()) << noted;
    EXPECT_FALSE(plain.waits) << noted;
  }
}

TEST(TableNotes, a_text_without_notes_stays_to_the_last_byte) {
  for (const std::string& text : kTexts) {
    EXPECT_EQ(without_notes(text), text);
    EXPECT_EQ(with_notes(text, {}), text);
    // But for a mark at the beginning, which says nothing.
    std::string back = without_notes(with_notes(text, {.waits = true}));
    EXPECT_THAT(text, HasSubstr(back));
    EXPECT_GE(back.size() + 3, text.size());
  }
}

TEST(TableNotes, notes_replace_those_that_were_there) {
  const std::string text = with_notes(kTexts[0], {.handed_over_from = "one"});
  EXPECT_EQ(text, "handover_from: one\n" + kTexts[0]);
  EXPECT_EQ(with_notes(text, {.handed_over_from = "two"}),
            "handover_from: two\n" + kTexts[0]);
  EXPECT_EQ(with_notes(text, {}), kTexts[0]);
}

TEST(TableNotes, notes_written_by_people_are_taken_out_wherever_they_are) {
  for (const char* text : {
           "target: snapshot\nhandover_from: x\norigin: a\ncow: b\n",
           "target: snapshot\norigin: a\ncow: b\nhandover_from: x\n",
           "target: snapshot\norigin: a\ncow: b\nhandover_from: x",
           "target: snapshot\norigin: a\n# c\nhandover_with:\n  - x\n  - y\n"
           "cow: b\n",
           "{target: snapshot, origin: a, cow: b, handover_from: x}",
           "{target: snapshot, waits: true, origin: a, cow: b}",
           "--- \n  target: snapshot\n  origin: a\n  cow: b\n"
           "  waits: true\n...\n",
       }) {
    Table table = read_one(without_notes(text));
    EXPECT_EQ(table.handed_over_from, "") << text;
    EXPECT_TRUE(table.group.empty()) << text;
    EXPECT_FALSE(table.waits) << text;
  }
}

TEST(TableNotes, what_was_live_says_that_it_does_not_wait) {
  std::string text = with_notes(kTexts[0], {.was_live = true});
  EXPECT_EQ(text, "waits: false\n" + kTexts[0]);
  EXPECT_TRUE(read_one(text).was_live);
  EXPECT_FALSE(read_one(text).waits);
  EXPECT_FALSE(read_one(kTexts[0]).was_live);
  EXPECT_EQ(without_notes(text), kTexts[0]);
}

TEST(TableNotes, a_name_is_only_added) {
  EXPECT_EQ(with_notes(kTexts[0], {.name = "t"}), "name: t\n" + kTexts[0]);
  EXPECT_EQ(with_notes("name: u\n" + kTexts[0], {.name = "t"}),
            "name: u\n" + kTexts[0]);
}

TEST(TableNotes, tables_are_the_same_however_they_are_written) {
  for (std::size_t i : {1u, 3u, 5u, 6u, 7u, 8u, 9u, 10u})
    EXPECT_TRUE(same_table(kTexts[0], kTexts[i])) << i;
  EXPECT_TRUE(same_table("a: 1\nb: 2\n", "b: 2\na: 1\nname: x\nwaits: true\n"));
  EXPECT_FALSE(same_table("a: 1\n", "a: 2\n"));
  EXPECT_FALSE(same_table("a: 1\n", "a: 1\nb: 2\n"));
  EXPECT_FALSE(same_table("a: [1, 2]\n", "a: [2, 1]\n"));
}

TEST(TableNotes, what_cannot_be_edited_is_refused) {
  EXPECT_THROW(with_notes("no table", {.waits = true}), TableError);
}

TEST(TableNotes, keys_are_checked) {
  const std::string snapshot = kTexts[0];
  EXPECT_EQ(error_of(snapshot + "handover_from: .x\n").substr(0, 35),
            "t.yaml:4:16: \"handover_from\": \".x\" ");
  EXPECT_EQ(error_of(snapshot + "handover_from: t\n"),
            "t.yaml:4:16: \"handover_from\" is the table's own name");
  EXPECT_THAT(error_of(snapshot + "handover_with: x\n"), HasSubstr("list"));
  EXPECT_THAT(error_of(snapshot + "waits: perhaps\n"), HasSubstr("true"));
  EXPECT_EQ(error_of("target: snapshot-origin\ndevice: a\nwaits: true\n"),
            "t.yaml:3:1: \"waits\" is not a key of target snapshot-origin");
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "config/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/table.h"

namespace snapfs {
namespace {

using testing::ElementsAre;

// Each document as "LINE:TEXT".
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> result;
  for (const Document& document : split_documents(text))
    result.push_back(std::to_string(document.first_line) + ":" +
                     std::string(document.text));
  return result;
}

std::string flaw_of(std::string_view text) {
  try {
    check_text(text, "f");
  } catch (const TableError& error) {
    return error.what();
  }
  return "none";
}

TEST(Document, a_text_without_markers_is_one) {
  EXPECT_THAT(split("a: b\nc: d\n"), ElementsAre("1:a: b\nc: d\n"));
  EXPECT_THAT(split("a: b"), ElementsAre("1:a: b"));
  EXPECT_THAT(split(""), ElementsAre());
}

TEST(Document, markers_begin_documents) {
  EXPECT_THAT(split("a\n---\nb\n--- c\n"),
              ElementsAre("1:a\n", "2:---\nb\n", "4:--- c\n"));
  EXPECT_THAT(split("---\r\na\r\n---\r\nb"),
              ElementsAre("1:---\r\na\r\n", "3:---\r\nb"));
}

TEST(Document, comments_and_directives_go_with_the_marker_after_them) {
  EXPECT_THAT(split("# x\n\n%YAML 1.2\n---\na\n# y\n---\nb\n"),
              ElementsAre("1:# x\n\n%YAML 1.2\n---\na\n# y\n", "7:---\nb\n"));
}

TEST(Document, three_dots_end_a_document) {
  EXPECT_THAT(split("a\n...\n# x\n---\nb\n"),
              ElementsAre("1:a\n...\n", "3:# x\n---\nb\n"));
}

TEST(Document, only_a_marker_alone_at_the_beginning_of_a_line_is_one) {
  EXPECT_THAT(split("a: ---\n ---\n----\n---b\n...c\n"),
              ElementsAre("1:a: ---\n ---\n----\n---b\n...c\n"));
}

TEST(Document, a_byte_order_mark_does_not_hide_a_marker) {
  EXPECT_THAT(split("\xef\xbb\xbf---\na\n---\nb\n"),
              ElementsAre("1:\xef\xbb\xbf---\na\n", "3:---\nb\n"));
}

TEST(Document, text_is_utf8) {
  EXPECT_EQ(flaw_of("\xef\xbb\xbf# \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\r\n"),
            "none");
  EXPECT_EQ(flaw_of("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"), "none");
}

TEST(Document, what_is_not_utf8_is_refused_at_its_place) {
  constexpr char kFlaw[] = "f:2:3: not a table: the text is not valid UTF-8";
  for (std::string bytes :
       {"\xff", "\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xfe\xff"})
    EXPECT_EQ(flaw_of("a\nb " + bytes), kFlaw) << testing::PrintToString(bytes);
}

TEST(Document, control_characters_are_refused_at_their_place) {
  constexpr char kFlaw[] =
      "f:1:2: not a table: the text has a control character";
  for (const char* text : {"a\x01", "a\x1b[m", "a\x7f", "a\rb", "a\r",
                           "a\xc2\x80", "a\xc2\x9f", "a\v"})
    EXPECT_EQ(flaw_of(text), kFlaw) << testing::PrintToString(text);
  EXPECT_EQ(flaw_of("a\xc2\xa0\t\r\n"), "none");
}

TEST(Document, nul_bytes_are_refused_at_their_place) {
  EXPECT_EQ(flaw_of(std::string_view("a: b\n\0", 6)),
            "f:2:1: not a table: the text has a NUL byte");
}

}  // namespace
}  // namespace snapfs

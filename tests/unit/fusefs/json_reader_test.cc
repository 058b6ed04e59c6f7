// SPDX-License-Identifier: MIT
#include "fusefs/json_reader.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

namespace snapfs::test {
namespace {

uint64_t number(const std::string& text) {
  std::istringstream in(text);
  JsonReader reader(in);
  const uint64_t value = reader.read_number();
  reader.expect_end();
  return value;
}

std::string string(const std::string& text) {
  std::istringstream in(text);
  return JsonReader(in).read_string();
}

void skip(const std::string& text) {
  std::istringstream in(text);
  JsonReader reader(in);
  reader.skip_value();
  reader.expect_end();
}

TEST(JsonReader, whole_numbers) {
  EXPECT_EQ(number(" 0 "), 0u);
  EXPECT_EQ(number("18446744073709551615"), ~uint64_t{0});
}

TEST(JsonReader, other_numbers_are_refused) {
  for (const char* text : {"18446744073709551616", "184467440737095516150",
                           "-1", "1.5", "1e3", "01", "", "x", "\"1\""}) {
    EXPECT_THROW(number(text), JsonError) << text;
  }
}

TEST(JsonReader, strings_with_escapes) {
  EXPECT_EQ(string(R"("a\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC")"),
            "a\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac");
}

TEST(JsonReader, strings_that_are_none) {
  for (const char* text :
       {"\"a", "\"a\n\"", R"("\x")", R"("\u12g4")", "\"\\", "a"}) {
    EXPECT_THROW(string(text), JsonError) << text;
  }
  EXPECT_THROW(string('"' + std::string(1 << 20, 'x') + '"'), JsonError);
}

TEST(JsonReader, object_and_array) {
  std::istringstream in(R"( {"a": [1, 2,3], "b" : [] , "c": {}} )");
  JsonReader reader(in);
  std::vector<std::string> keys;
  std::vector<uint64_t> numbers;
  reader.begin_object();
  for (bool first = true; auto key = reader.next_key(first); first = false) {
    keys.push_back(*key);
    if (*key == "c") {
      reader.skip_value();
      continue;
    }
    reader.begin_array();
    for (bool one = true; reader.next_item(one); one = false)
      numbers.push_back(reader.read_number());
  }
  reader.expect_end();
  EXPECT_EQ(keys, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(numbers, (std::vector<uint64_t>{1, 2, 3}));
}

TEST(JsonReader, any_value_can_be_skipped) {
  skip(R"({"a": [true, false, null, -1.5e+3, "x", {"b": []}]})");
  EXPECT_THROW(skip("tru"), JsonError);
  EXPECT_THROW(skip("[1 2]"), JsonError);
  EXPECT_THROW(skip("{\"a\" 1}"), JsonError);
  EXPECT_THROW(skip("[1"), JsonError);
  EXPECT_THROW(skip("1 2"), JsonError);
}

TEST(JsonReader, depth_is_bounded) {
  EXPECT_THROW(skip(std::string(100000, '[')), JsonError);
}

TEST(JsonReader, error_names_the_line) {
  try {
    skip("[1,\n\n  x]");
    FAIL();
  } catch (const JsonError& error) {
    EXPECT_EQ(std::string(error.what()).substr(0, 8), "line 3: ");
  }
}

}  // namespace
}  // namespace snapfs::test

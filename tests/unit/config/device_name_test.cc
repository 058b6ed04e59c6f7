// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "config/table_reader.h"

namespace snapfs {
namespace {

TEST(DeviceName, letters_digits_and_some_marks) {
  for (const char* name : {"a", "0", "vm-1_root.2+x", "base", "next", "a.nextx",
                           "rejected", "a.b.c", "a..b"})
    EXPECT_TRUE(is_device_name(name)) << name;
}

TEST(DeviceName, what_a_file_or_a_line_could_not_carry) {
  for (const char* name : {"", ".", "..", ".a", "-a", "_a", "+a", "a/b", "a b",
                           "a\n", "a:b", "\xc3\xa9", "a*"})
    EXPECT_FALSE(is_device_name(name)) << name;
  EXPECT_FALSE(is_device_name(std::string("a\0b", 3)));
}

TEST(DeviceName, endings_that_name_other_files_in_tables) {
  EXPECT_FALSE(is_device_name("a.next"));
  EXPECT_FALSE(is_device_name("a.rejected"));
  EXPECT_FALSE(is_device_name("a.next.next"));
}

TEST(DeviceName, at_most_127_characters) {
  EXPECT_TRUE(is_device_name(std::string(127, 'a')));
  EXPECT_FALSE(is_device_name(std::string(128, 'a')));
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "config/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace snapfs {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

uint64_t bytes_of(const char* text) {
  std::optional<Size> size = parse_size(text);
  EXPECT_TRUE(size && size->has_unit) << text;
  return size ? size->number : 0;
}

TEST(Units, a_bare_number_has_no_unit) {
  std::optional<Size> size = parse_size("16");
  ASSERT_TRUE(size);
  EXPECT_EQ(size->number, 16u);
  EXPECT_FALSE(size->has_unit);
}

TEST(Units, letters_alone_and_binary_prefixes_are_powers_of_1024) {
  EXPECT_EQ(bytes_of("16K"), 16384u);
  EXPECT_EQ(bytes_of("16KiB"), 16384u);
  EXPECT_EQ(bytes_of("1M"), uint64_t{1} << 20);
  EXPECT_EQ(bytes_of("1GiB"), uint64_t{1} << 30);
  EXPECT_EQ(bytes_of("1T"), uint64_t{1} << 40);
  EXPECT_EQ(bytes_of("1P"), uint64_t{1} << 50);
  EXPECT_EQ(bytes_of("1EiB"), uint64_t{1} << 60);
}

TEST(Units, decimal_prefixes_are_powers_of_1000) {
  EXPECT_EQ(bytes_of("3KB"), 3000u);
  EXPECT_EQ(bytes_of("3GB"), 3000000000u);
  EXPECT_EQ(bytes_of("1EB"), 1000000000000000000u);
}

TEST(Units, bytes_and_sectors_have_units_of_their_own) {
  EXPECT_EQ(bytes_of("4096B"), 4096u);
  EXPECT_EQ(bytes_of("8s"), 4096u);
}

TEST(Units, letters_in_either_case_and_blanks_before_them) {
  EXPECT_EQ(bytes_of("16kib"), 16384u);
  EXPECT_EQ(bytes_of("16 KiB"), 16384u);
  EXPECT_EQ(bytes_of("2kB"), 2000u);
}

TEST(Units, sizes_that_are_none) {
  for (const char* text : {"", "K", "-1", "+1", "1.5G", "0x10", "16 ", " 16",
                           "16KK", "16Ki", "16iB", "16 K B", "16X", "1e3"})
    EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Units, sizes_saturate) {
  EXPECT_EQ(parse_size("18446744073709551615")->number, kMax);
  EXPECT_EQ(parse_size("18446744073709551616")->number, kMax);
  EXPECT_EQ(parse_size("99999999999999999999999999")->number, kMax);
  EXPECT_EQ(bytes_of("15EiB"), uint64_t{15} << 60);
  EXPECT_EQ(bytes_of("16EiB"), kMax);
}

TEST(Units, durations) {
  using namespace std::chrono_literals;
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("5s"), 5s);
  EXPECT_EQ(parse_duration("5"), 5s);
  EXPECT_EQ(parse_duration("2min"), 2min);
  EXPECT_EQ(parse_duration("1 h"), 1h);
  for (const char* text : {"", "s", "5d", "-5s", "5ss", "1.5s"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Units, durations_saturate) {
  EXPECT_EQ(parse_duration("18446744073709551615h"),
            std::chrono::milliseconds::max());
}

TEST(Units, numbers_have_neither_sign_nor_unit) {
  EXPECT_EQ(parse_number("007"), 7u);
  for (const char* text : {"", "1k", "-1", "+1", "1 "})
    EXPECT_FALSE(parse_number(text)) << text;
}

}  // namespace
}  // namespace snapfs

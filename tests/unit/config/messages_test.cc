// SPDX-License-Identifier: MIT
#include "config/messages.h"

#include <gtest/gtest.h>

namespace snapfs {
namespace {

constexpr std::string_view kWords[] = {"cow", "chunk_size", "commit_interval"};

TEST(Messages, quoting_keeps_a_message_on_one_line) {
  EXPECT_EQ(quote("a\nb\x1b[31m"), "\"a\\x0ab\\x1b[31m\"");
  EXPECT_EQ(quote("say \"hi\" \\"), "\"say \\\"hi\\\" \\\\\"");
  EXPECT_EQ(quote("\xc3\xa9"), "\"\\xc3\\xa9\"");
}

TEST(Messages, quoting_cuts_long_text) {
  EXPECT_EQ(quote(std::string(64, 'x')), '"' + std::string(64, 'x') + '"');
  EXPECT_EQ(quote(std::string(65, 'x')), '"' + std::string(64, 'x') + "...\"");
}

TEST(Messages, nearest_counts_insertions_deletions_and_replacements) {
  EXPECT_EQ(nearest("chunksize", kWords), "chunk_size");
  EXPECT_EQ(nearest("comit_intervall", kWords), "commit_interval");
  EXPECT_EQ(nearest("bow", kWords), "cow");
  EXPECT_EQ(nearest("", kWords), "cow");
}

TEST(Messages, nearest_takes_the_first_of_equals) {
  constexpr std::string_view kEquals[] = {"ab", "ac"};
  EXPECT_EQ(nearest("a", kEquals), "ab");
}

TEST(Messages, nearest_takes_words_of_any_length) {
  EXPECT_EQ(nearest("chunk_size" + std::string(1 << 20, 'x'), kWords),
            "chunk_size");
}

}  // namespace
}  // namespace snapfs

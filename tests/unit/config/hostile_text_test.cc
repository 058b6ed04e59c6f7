// SPDX-License-Identifier: MIT
//
// Texts that mean harm or are damaged: one clear error, cheaply.
#include <gtest/gtest.h>

#include <ctime>
#include <random>

#include "tests/support/seed.h"
#include "tests/unit/config/read_one.h"

namespace snapfs {
namespace {

using test::error_of;

std::string repeat(const std::string& part, std::size_t size) {
  std::string text;
  while (text.size() + part.size() <= size) text += part;
  return text;
}

constexpr std::size_t kNearlyDocument = kMaxDocumentBytes - 64;

TEST(HostileText, longer_than_the_limit) {
  EXPECT_EQ(error_of(std::string(10 << 20, 'a')),
            "f.yaml: longer than 1 MiB: not a table");
}

TEST(HostileText, a_document_longer_than_its_limit) {
  std::string good = "---\nname: a\ntable: 0 8 snapshot-origin d\n";
  EXPECT_EQ(error_of(good + "---\n" + std::string(kMaxDocumentBytes, '#')),
            "f.yaml:4:1: longer than 64 KiB: not a table");
}

TEST(HostileText, a_file_may_be_longer_than_a_document) {
  std::string text;
  for (int i = 0; i < 100; ++i)
    text += "---\nname: a" + std::to_string(i) +
            "\ntable: 0 8 snapshot-origin d\n# " + std::string(4000, '-') +
            "\n";
  EXPECT_EQ(read_tables(text, test::kOptions).size(), 100u);
}

TEST(HostileText, more_tables_than_the_limit) {
  std::string text;
  for (std::size_t i = 0; i <= kMaxTables; ++i)
    text += "--- {name: a" + std::to_string(i) +
            ", table: 0 8 snapshot-origin d}\n";
  EXPECT_EQ(error_of(text), "f.yaml:4097:1: too many tables in one file");
}

TEST(HostileText, binary) {
  EXPECT_EQ(error_of(std::string("\x7f"
                                 "ELF\x02\x01\x01\0\0",
                                 9)),
            "f.yaml:1:1: not a table: the text has a control character");
  EXPECT_EQ(error_of(std::string(4096, '\0')),
            "f.yaml:1:1: not a table: the text has a NUL byte");
  EXPECT_EQ(error_of(std::string("\xff\xfet\0a\0", 6)),
            "f.yaml:1:1: not a table: the text is not valid UTF-8");
}

TEST(HostileText, aliases_are_refused_before_they_multiply) {
  std::string text = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol]\n";
  for (char c = 'b'; c <= 'z'; ++c) {
    std::string before = std::string("*") + static_cast<char>(c - 1);
    text += std::string(1, c) + ": &" + c + " [" + before;
    for (int i = 0; i < 8; ++i) text += ", " + before;
    text += "]\n";
  }
  EXPECT_EQ(error_of(text),
            "f.yaml:1:4: anchors and aliases are not supported");
}

TEST(HostileText, nesting_is_refused_at_the_ninth_level) {
  EXPECT_EQ(error_of("[[[[[[[[[]]]]]]]]]"),
            "f.yaml:1:9: nested too deeply for a table");
  EXPECT_EQ(error_of("cow: [[[[[[[[]]]]]]]]"),
            "f.yaml:1:13: nested too deeply for a table");
  EXPECT_EQ(error_of("- - - - - - - - - a"),
            "f.yaml:1:17: nested too deeply for a table");
  EXPECT_EQ(error_of("[[[[[[[[]]]]]]]]"),
            "f.yaml:1:1: a table must be a map of keys to values");
}

TEST(HostileText, nesting_without_end_is_refused) {
  for (const char* part : {"[", "{a: ", "[a: ", "- ", "? ", "[[], ", "[\n"}) {
    for (const char* before : {"", "cow: "}) {
      std::string error = error_of(before + repeat(part, kNearlyDocument));
      EXPECT_TRUE(error.ends_with(": nested too deeply for a table") ||
                  error.find(": not valid YAML: ") != std::string::npos)
          << before << part << error;
    }
  }
}

TEST(HostileText, more_values_than_a_table_can_have) {
  EXPECT_EQ(error_of("features: [" + repeat("a, ", kNearlyDocument) + "]\n"),
            "f.yaml:1:3003: too many values for one table");
}

TEST(HostileText, a_key_of_64_kib) {
  std::string error = error_of(std::string(60000, 'k') + "\n: 1\n");
  EXPECT_LT(error.size(), 200u);
  error = error_of("? " + std::string(60000, 'k') + "\n: 1\n");
  EXPECT_EQ(error, "f.yaml:1:3: unknown key \"" + std::string(64, 'k') +
                       "...\"; the nearest known key is \"chunk_size\"");
}

// Every character and pair that means something in YAML, all document long.
TEST(HostileText, every_repetition_is_cheap) {
  const std::string kParts[] = {
      "[",      "{",     "- ",         "? ",         ": ",    "a: ", "[a: ",
      "{? ",    "[[],",  "\"",         "'",          "&a ",   "*a ", "!a ",
      "|\n",    ">\n",   "%A ",        "%TAG ! a\n", "\n",    "#",   "\t",
      " ",      "\\",    "\"\\",       "]",          "}",     ",",   "a\n",
      "- a\n",  "---\n", "...\n",      "a: b\n",     "- [\n", "! ",  "&a [",
      "@",      "`",     "a: |\n b\n", "-\n",        ":\n",   "?\n", "\xc3\xa9",
      "--- \"", "a:\n  "};
  clock_t begin = std::clock();
  for (const std::string& part : kParts) {
    EXPECT_NE(error_of(repeat(part, kNearlyDocument)), "no error") << part;
    EXPECT_NE(error_of("cow: " + repeat(part, kNearlyDocument)), "no error")
        << part;
  }
  // Takes half a second; quadratic work would take minutes.
  EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 20);
}

TEST(HostileText, many_empty_documents_are_cheap) {
  clock_t begin = std::clock();
  EXPECT_EQ(error_of(repeat("---\n", kMaxTableBytes)),
            "f.yaml:1:1: there is no table in this text");
  EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 20);
}

// Whatever a damaged table becomes: tables that make the same tables again, or
// one TableError inside the text.
TEST(HostileText, damaged_tables_are_taken_or_refused) {
  const std::string kSeedText =
      "# head\n---\nname: a\ntarget: snapshot\norigin: o\n"
      "cow: {path: c, create: true, size: 10GiB}\nstore: PO\n"
      "chunk_size: 16KiB\nfeatures: [discard_zeroes_cow]\nmode: 0640\n"
      "---\nname: b\ntable: |\n  0 8 snapshot a 8:1 P 16 1 "
      "discard_zeroes_cow\n...\n";
  const std::string kBytes =
      "[]{}:,-?&*!|>%@`'\"#\\ \n\t\r0129aPN.\xc3\xa9\xff\x01";
  const uint64_t seed = test::next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  auto below = [&](std::size_t n) { return random() % n; };
  for (int round = 0; round < 3000; ++round) {
    std::string text = kSeedText;
    for (std::size_t n = 1 + below(4); n > 0; --n) {
      std::size_t at = below(text.size());
      if (below(2) == 0)
        text[at] = kBytes[below(kBytes.size())];
      else if (below(2) == 0)
        text.insert(at, 1, kBytes[below(kBytes.size())]);
      else
        text.erase(at, 1 + below(8));
    }
    try {
      for (const Table& table : read_tables(text, test::kOptions)) {
        ReadTablesOptions options{"again.yaml", "/base", table.name};
        std::vector<Table> again = read_tables(table.text, options);
        ASSERT_EQ(again.size(), 1u) << text;
        EXPECT_EQ(again[0].name, table.name) << text;
        EXPECT_EQ(again[0].target.index(), table.target.index()) << text;
      }
    } catch (const TableError& error) {
      EXPECT_EQ(error.place().file, "f.yaml") << error.what() << text;
      EXPECT_GE(error.place().line, 1u) << error.what() << text;
      EXPECT_EQ(error.message().find('\n'), std::string::npos) << text;
    }
  }
}

}  // namespace
}  // namespace snapfs

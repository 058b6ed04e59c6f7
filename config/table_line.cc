// SPDX-License-Identifier: MIT
#include "config/table_line.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "config/messages.h"
#include "config/paths.h"
#include "config/snapshot_arguments.h"
#include "config/target_type.h"
#include "config/units.h"
#include "core/chunk.h"

namespace snapfs {
namespace {

constexpr uint64_t kMaxSectors =
    std::numeric_limits<int64_t>::max() / kSectorBytes;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// The next word from `at` on, which is moved behind it; empty at the end. A
// backslash takes the character after it as it is, as in the kernel.
Word next_word(const YamlNode& node, std::size_t& at, std::size_t end) {
  const std::string& line = node.value;
  while (at < end && is_space(line[at])) ++at;
  Word word{"", node.place_at(at)};
  while (at < end && !is_space(line[at])) {
    if (line[at] == '\\' && at + 1 < end) ++at;
    word.text += line[at++];
  }
  return word;
}

std::vector<Word> split_words(const YamlNode& node, std::size_t begin,
                              std::size_t end) {
  std::vector<Word> words;
  for (std::size_t at = begin;;) {
    words.push_back(next_word(node, at, end));
    if (words.back().text.empty()) break;
    for (char c : words.back().text)
      if (is_control(c))
        fail(words.back().place, "\"table\" has a control character");
  }
  words.pop_back();
  return words;
}

// The words of the one line that is neither empty nor a comment.
std::vector<Word> words_of_line(const YamlNode& node) {
  std::vector<Word> result;
  const std::string& text = node.value;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(text.find('\n', at), text.size());
    std::vector<Word> words = split_words(node, at, end);
    at = end + 1;
    if (words.empty() || words[0].text[0] == '#') continue;
    if (!result.empty())
      fail(words[0].place,
           "\"table\" must be one line: a device has one target");
    result = std::move(words);
  }
  return result;
}

uint64_t sector_number(const Word& word, const char* what) {
  std::optional<uint64_t> number = parse_number(word.text);
  if (!number)
    fail(word.place, std::string("\"table\": the ") + what +
                         " must be a number of sectors, not " +
                         quote(word.text));
  return *number;
}

uint64_t read_length(const std::vector<Word>& words) {
  if (sector_number(words[0], "start") != 0)
    fail(words[0].place, "\"table\": the target must start at sector 0");
  uint64_t length = sector_number(words[1], "length");
  if (length == 0) fail(words[1].place, "zero-length target");
  if (length > kMaxSectors)
    fail(words[1].place, "\"table\": the length is too large");
  return length;
}

// What follows the four arguments: a count and as many features. The kernel
// ignores what comes behind.
std::vector<Word> feature_words(const std::vector<Word>& arguments) {
  constexpr std::size_t kCountIndex = 4;
  if (arguments.size() <= kCountIndex) return {};
  const Word& word = arguments[kCountIndex];
  std::optional<uint64_t> count = parse_number(word.text);
  std::size_t left = arguments.size() - kCountIndex - 1;
  if (!count || *count > 2 || *count > left)
    fail(word.place, "Invalid number of feature arguments");
  auto first = arguments.begin() + kCountIndex + 1;
  return {first, first + static_cast<std::ptrdiff_t>(*count)};
}

OriginTable origin_target(const std::vector<Word>& arguments, uint64_t length,
                          const Place& place, const std::string& base_dir) {
  if (arguments.size() != 1)
    fail(arguments.empty() ? place : arguments[1].place,
         "origin: incorrect number of arguments");
  OriginTable table;
  table.device = device_path(base_dir, arguments[0].text);
  table.length_sectors = length;
  table.device_place = arguments[0].place;
  return table;
}

SnapshotTable snapshot_target(const std::vector<Word>& arguments,
                              uint64_t length, const Place& place,
                              const std::string& base_dir) {
  if (arguments.size() < 4) fail(place, "requires 4 or more arguments");
  SnapshotTable table;
  table.origin = arguments[0].text;
  table.origin_path = device_path(base_dir, table.origin);
  table.origin_place = arguments[0].place;
  table.cow.path = device_path(base_dir, arguments[1].text);
  table.cow_place = arguments[1].place;
  table.length_sectors = length;
  std::vector<Word> features = feature_words(arguments);
  set_features(table, features, features.empty() ? place : features[0].place);
  set_store(table, arguments[2], chunk_from_line(arguments[3]));
  return table;
}

}  // namespace

std::variant<OriginTable, SnapshotTable> parse_table_line(
    const YamlNode& node, const std::string& base_dir) {
  std::vector<Word> words = words_of_line(node);
  if (words.size() < 3)
    fail(node.place, "\"table\" must be a line START LENGTH TARGET ARGUMENTS");
  uint64_t length = read_length(words);
  const Place& place = words[2].place;  // for what is missing
  std::vector<Word> arguments(words.begin() + 3, words.end());
  const TargetType type = target_type(words[2]);
  if (type == TargetType::salvage)
    fail(place,
         "dmsetup has no target snapshot-salvage: write \"target\", "
         "\"origin\" and \"cow\"");
  if (type == TargetType::origin)
    return origin_target(arguments, length, place, base_dir);
  SnapshotTable table = snapshot_target(arguments, length, place, base_dir);
  if (type == TargetType::merge) table.merge.emplace();
  return table;
}

}  // namespace snapfs

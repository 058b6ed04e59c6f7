// SPDX-License-Identifier: MIT
#include "config/field.h"

#include <algorithm>
#include <limits>

#include "config/messages.h"
#include "config/units.h"
#include "core/chunk.h"

namespace snapfs {
namespace {

constexpr uint64_t kMaxBytes = std::numeric_limits<int64_t>::max();
constexpr auto kMinDuration = std::chrono::milliseconds(1);
constexpr auto kMaxDuration = std::chrono::hours(1);
constexpr std::chrono::hours kMaxPatience{30 * 24};

bool is_control(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

bool is_one_of(std::string_view text,
               std::span<const std::string_view> choices) {
  return std::any_of(choices.begin(), choices.end(), [text](auto choice) {
    return equals_ignoring_case(text, choice);
  });
}

// "a, b or c"
std::string alternatives(std::span<const std::string_view> choices) {
  std::string text;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) text += i + 1 < choices.size() ? ", " : " or ";
    text += choices[i];
  }
  return text;
}

}  // namespace

const Place& Field::place() const {
  // yaml-cpp reports an absent value where the next token begins.
  return value_.kind == YamlNode::Kind::null ? key_.place : value_.place;
}

void Field::refuse(const std::string& expected) const {
  std::string found;
  switch (value_.kind) {
    case YamlNode::Kind::null:
      fail(place(), quote(path_) + " has no value: it must be " + expected);
    case YamlNode::Kind::scalar:
      found = value_.value.empty() ? "empty" : quote(value_.value);
      break;
    case YamlNode::Kind::list:
      found = "a list";
      break;
    case YamlNode::Kind::map:
      found = "a map";
      break;
  }
  fail(place(), quote(path_) + " must be " + expected + ", not " + found);
}

const std::string& Field::scalar(const std::string& expected) const {
  if (value_.kind != YamlNode::Kind::scalar || value_.value.empty())
    refuse(expected);
  return value_.value;
}

Word Field::word() const { return {scalar("a single value"), value_.place}; }

std::string Field::line() const {
  const std::string& text = scalar("a single value");
  if (std::any_of(text.begin(), text.end(), is_control))
    refuse("one line without control characters");
  return text;
}

bool Field::boolean() const {
  static constexpr std::string_view kTrue[] = {"true", "yes", "on"};
  static constexpr std::string_view kFalse[] = {"false", "no", "off"};
  const std::string& text = scalar("true or false");
  bool is_true = is_one_of(text, kTrue);
  if (!is_true && !is_one_of(text, kFalse)) refuse("true or false");
  return is_true;
}

uint64_t Field::whole_sectors(uint64_t bytes) const {
  if (bytes == 0) fail(place(), quote(path_) + " must not be zero");
  if (bytes > kMaxBytes) fail(place(), quote(path_) + " is too large");
  if (bytes % kSectorBytes != 0)
    fail(place(), quote(path_) + " must be a multiple of 512 bytes");
  return bytes / kSectorBytes;
}

uint64_t Field::sectors() const {
  constexpr char kExpected[] = "a number of sectors or a size such as 10GiB";
  std::optional<Size> size = parse_size(scalar(kExpected));
  if (!size) refuse(kExpected);
  if (size->has_unit) return whole_sectors(size->number);
  if (size->number > kMaxBytes / kSectorBytes)
    fail(place(), quote(path_) + " is too large");
  return whole_sectors(size->number * kSectorBytes);
}

uint64_t Field::bytes() const {
  constexpr char kExpected[] = "a size with a unit such as 10GiB";
  std::optional<Size> size = parse_size(scalar(kExpected));
  if (!size || !size->has_unit) refuse(kExpected);
  return whole_sectors(size->number) * kSectorBytes;
}

std::chrono::milliseconds Field::duration() const {
  constexpr char kExpected[] = "a time from 1ms to 1h such as 5s";
  auto duration = parse_duration(scalar(kExpected));
  if (!duration || *duration < kMinDuration || *duration > kMaxDuration)
    refuse(kExpected);
  return *duration;
}

std::chrono::milliseconds Field::patience() const {
  constexpr char kExpected[] = "a time from 1ms to 30 days such as 10min";
  auto duration = parse_duration(scalar(kExpected));
  if (!duration || *duration < kMinDuration || *duration > kMaxPatience)
    refuse(kExpected);
  return *duration;
}

unsigned Field::percent() const {
  constexpr char kExpected[] = "a number from 1 to 99, perhaps with %";
  std::string_view digits = scalar(kExpected);
  if (digits.ends_with('%')) digits.remove_suffix(1);
  std::optional<uint64_t> number = parse_number(digits);
  if (!number || *number < 1 || *number > 99) refuse(kExpected);
  return static_cast<unsigned>(*number);
}

uint32_t Field::mode() const {
  constexpr char kExpected[] = "octal permission bits such as 0640";
  std::string_view digits = scalar(kExpected);
  if (digits.starts_with("0o")) digits.remove_prefix(2);
  uint32_t mode = 0;
  for (char c : digits) {
    if (c < '0' || c > '7' || mode > 0777) refuse(kExpected);
    mode = mode * 8 + static_cast<uint32_t>(c - '0');
  }
  if (digits.empty() || mode > 0777) refuse(kExpected);
  return mode;
}

uint32_t Field::id() const {
  constexpr char kExpected[] = "the number of a user or group";
  std::optional<uint64_t> number = parse_number(scalar(kExpected));
  // The largest number means "do not change" to chown(2).
  if (!number || *number >= std::numeric_limits<uint32_t>::max())
    refuse(kExpected);
  return static_cast<uint32_t>(*number);
}

std::size_t Field::choice(std::span<const std::string_view> choices) const {
  std::string expected = alternatives(choices);
  const std::string& text = scalar(expected);
  auto found = std::find(choices.begin(), choices.end(), text);
  if (found == choices.end()) refuse(expected);
  return static_cast<std::size_t>(found - choices.begin());
}

std::vector<Word> Field::words() const {
  if (value_.kind != YamlNode::Kind::list) refuse("a list");
  std::vector<Word> words;
  for (const YamlNode& item : value_.children) {
    if (item.kind != YamlNode::Kind::scalar)
      fail(item.place, quote(path_) + " must be a list of single values");
    words.push_back({item.value, item.place});
  }
  return words;
}

MapReader::MapReader(const YamlNode& map, const std::string& path,
                     std::span<const std::string_view> known)
    : path_(path) {
  for (std::size_t i = 0; i + 1 < map.children.size(); i += 2) {
    const YamlNode& key = map.children[i];
    if (key.kind != YamlNode::Kind::scalar)
      fail(key.place, "a key must be a single word");
    if (std::find(known.begin(), known.end(), key.value) == known.end())
      fail(key.place, "unknown key " + quote(path + key.value) +
                          "; the nearest known key is " +
                          quote(path + std::string(nearest(key.value, known))));
    if (find(key.value) != nullptr)
      fail(key.place, quote(path + key.value) + " is given twice");
    fields_.emplace_back(path + key.value, key, map.children[i + 1]);
  }
}

const Field* MapReader::find(std::string_view key) const {
  for (const Field& field : fields_)
    if (std::string_view(field.path()).substr(path_.size()) == key)
      return &field;
  return nullptr;
}

}  // namespace snapfs

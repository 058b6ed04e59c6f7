// SPDX-License-Identifier: MIT
//
// No edit is trusted: each is parsed again, and must have changed what it was
// meant to change and nothing else.
#include "config/table_notes.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "config/document.h"
#include "config/messages.h"
#include "config/table_keys.h"
#include "config/table_writer.h"
#include "config/yaml_parser.h"

namespace snapfs {
namespace {

bool same(const YamlNode& a, const YamlNode& b) {
  return a.kind == b.kind && a.value == b.value &&
         std::equal(a.children.begin(), a.children.end(), b.children.begin(),
                    b.children.end(), same);
}

// The map that the text is.
std::optional<YamlNode> parse(const std::string& text) {
  try {
    std::optional<YamlNode> root = parse_yaml({text, 1}, "");
    if (root && root->kind == YamlNode::Kind::map) return root;
  } catch (const TableError&) {
    // Not what a table can be.
  }
  return std::nullopt;
}

std::size_t offset_of(const std::string& text, const Place& place) {
  std::size_t offset = 0;
  for (unsigned line = 1; line < place.line; ++line)
    offset = std::min(text.find('\n', offset), text.size() - 1) + 1;
  return std::min(offset + place.column - 1, text.size());
}

// Index of the key among the map's children; nothing if it is not there.
std::optional<std::size_t> find_key(const YamlNode& map, std::string_view key) {
  for (std::size_t i = 0; i + 1 < map.children.size(); i += 2)
    if (map.children[i].value == key) return i;
  return std::nullopt;
}

// Every name is plain YAML, but "null" is no text unless it is quoted.
std::string scalar(const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower == "null" ? '"' + name + '"' : name;
}

// Where the key and its value may end, the best guess first.
std::vector<std::pair<std::size_t, std::size_t>> extents(
    const std::string& text, const YamlNode& map, std::size_t key) {
  const std::size_t begin = offset_of(text, map.children[key].place);
  std::vector<std::pair<std::size_t, std::size_t>> result;
  // A line of its own.
  const std::size_t line_begin =
      begin == 0 ? 0 : text.rfind('\n', begin - 1) + 1;
  const std::size_t line_end =
      std::min(text.find('\n', begin), text.size() - 1) + 1;
  const std::string indent = text.substr(line_begin, begin - line_begin);
  if (indent.find_first_not_of(' ') == std::string::npos)
    result.emplace_back(line_begin, line_end);
  // As put_in() writes it between braces.
  for (std::size_t comma = text.find(", ", begin); comma < line_end;
       comma = text.find(", ", comma + 1))
    result.emplace_back(begin, comma + 2);
  // With the others on one line, or in the line of `---`.
  if (key + 2 < map.children.size())
    result.emplace_back(begin, offset_of(text, map.children[key + 2].place));
  if (std::size_t brace = text.rfind('}'); brace != std::string::npos)
    result.emplace_back(begin, std::max(begin, brace));
  return result;
}

void erase_key(YamlNode& map, std::string_view key) {
  const std::optional<std::size_t> index = find_key(map, key);
  if (!index) return;
  const auto first = map.children.begin() + static_cast<std::ptrdiff_t>(*index);
  map.children.erase(first, first + 2);
}

// False: it cannot be taken out, and stays.
bool take_out(std::string& text, std::string_view key) {
  const std::optional<YamlNode> map = parse(text);
  if (!map) return false;
  const std::optional<std::size_t> index = find_key(*map, key);
  if (!index) return false;
  YamlNode wanted = *map;
  erase_key(wanted, key);
  for (const auto& [begin, end] : extents(text, *map, *index)) {
    std::string edited = text.substr(0, begin) + text.substr(end);
    const std::optional<YamlNode> result = parse(edited);
    if (!result || !same(*result, wanted)) continue;
    text = std::move(edited);
    return true;
  }
  return false;
}

// As the first key.
void put_in(std::string& text, const std::string& key,
            const std::string& value) {
  const std::optional<YamlNode> map = parse(text);
  if (!map) fail({}, "not a table");
  std::size_t at = offset_of(text, map->place);
  std::string line = key + ": " + value;
  if (text[at] == '{') {
    ++at;
    line += ", ";
  } else {
    line += '\n' + std::string(map->place.column - 1, ' ');
  }
  std::string edited = text.substr(0, at) + line + text.substr(at);
  const std::optional<YamlNode> result = parse(edited);
  bool is_right =
      result && result->children.size() == map->children.size() + 2 &&
      result->children[0].value == key &&
      std::equal(map->children.begin(), map->children.end(),
                 result->children.begin() + 2, result->children.end(), same);
  if (!is_right)
    fail({}, "the key " + quote(key) +
                 " cannot be added to a text of this form; write the table "
                 "with a key a line");
  text = std::move(edited);
}

// What the table says beside its name and notes, the keys in order.
std::optional<YamlNode> parse_bare(const std::string& text) {
  std::optional<YamlNode> map = parse(text);
  if (!map) return map;
  erase_key(*map, "name");
  for (std::string_view key : kNoteKeys) erase_key(*map, key);
  std::vector<std::pair<YamlNode, YamlNode>> pairs;
  for (std::size_t i = 0; i + 1 < map->children.size(); i += 2)
    pairs.emplace_back(map->children[i], map->children[i + 1]);
  std::sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) {
    return a.first.value < b.first.value;
  });
  map->children.clear();
  for (auto& [key, value] : pairs) {
    map->children.push_back(std::move(key));
    map->children.push_back(std::move(value));
  }
  return map;
}

}  // namespace

bool same_table(const std::string& text, const std::string& other) {
  if (text == other) return true;
  const std::optional<YamlNode> a = parse_bare(text);
  const std::optional<YamlNode> b = parse_bare(other);
  return a && b && same(*a, *b);
}

std::string without_notes(const std::string& text) {
  std::string result(without_byte_order_mark(text));
  bool is_changed = false;
  for (std::string_view key : kNoteKeys)
    is_changed = take_out(result, key) || is_changed;
  return is_changed ? result : text;
}

std::string with_notes(const std::string& text, const TableNotes& notes) {
  std::string result = without_notes(text);
  const bool adds = notes.waits || notes.was_live ||
                    !notes.handed_over_with.empty() ||
                    !notes.handed_over_from.empty() ||
                    !notes.origin_device.empty() || !notes.name.empty();
  if (!adds) return result;
  result = std::string(without_byte_order_mark(result));
  if (notes.waits || notes.was_live)
    put_in(result, "waits", notes.waits ? "true" : "false");
  if (!notes.handed_over_with.empty()) {
    std::string names;
    for (const std::string& name : notes.handed_over_with)
      names += (names.empty() ? "" : ", ") + scalar(name);
    put_in(result, "handover_with", '[' + names + ']');
  }
  if (!notes.handed_over_from.empty())
    put_in(result, "handover_from", scalar(notes.handed_over_from));
  if (!notes.origin_device.empty())
    put_in(result, "origin_device", quoted_scalar(notes.origin_device));
  if (notes.name.empty()) return result;
  if (const std::optional<YamlNode> map = parse(result);
      map && !find_key(*map, "name")) {
    put_in(result, "name", scalar(notes.name));
  }
  return result;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "config/table_writer.h"

#include <array>
#include <cstdio>

namespace snapfs {
namespace {

// A double-quoted scalar. Texts are UTF-8 without control characters.
std::string scalar(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string octal(uint32_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", mode);
  return text.data();
}

}  // namespace

std::string origin_text(const Table& table) {
  const auto& origin = std::get<OriginTable>(table.target);
  std::string text =
      "name: " + scalar(table.name) +
      "\ntarget: snapshot-origin\ndevice: " + scalar(origin.device) + "\n";
  auto add = [&](const std::string& key, const std::string& value) {
    text += key + ": " + value + "\n";
  };
  if (origin.length_sectors) {
    add("length", std::to_string(*origin.length_sectors));
  }
  if (origin.read_only) add("read_only", "true");
  if (table.attributes.mode) add("mode", octal(*table.attributes.mode));
  if (table.attributes.uid) add("uid", std::to_string(*table.attributes.uid));
  if (table.attributes.gid) add("gid", std::to_string(*table.attributes.gid));
  return text;
}

std::string text_of(const Table& table) {
  return table.text.empty() ? origin_text(table) : table.text;
}

}  // namespace snapfs

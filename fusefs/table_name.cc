// SPDX-License-Identifier: MIT
#include "fusefs/table_name.h"

#include <optional>

#include "config/table_reader.h"

namespace snapfs {
namespace {

// `text` without `ending`, if it has that.
std::optional<std::string> without(const std::string& text,
                                   const std::string& ending) {
  if (!text.ends_with(ending)) return std::nullopt;
  return text.substr(0, text.size() - ending.size());
}

}  // namespace

TableName parse_table_name(const std::string& file) {
  using Kind = TableName::Kind;
  if (auto name = without(file, ".rejected"); name && is_device_name(*name)) {
    return {Kind::rejected, *name};
  }
  auto stem = without(file, ".yaml");
  if (!stem) return {Kind::scratch, {}};
  if (is_device_name(*stem)) return {Kind::table, *stem};
  if (auto name = without(*stem, ".next"); name && is_device_name(*name)) {
    return {Kind::next, *name};
  }
  // Emacs locks x.yaml with .#x.yaml; others hide theirs behind a dot as well.
  bool hidden = file.starts_with('.') || file.starts_with('#');
  return {hidden ? Kind::scratch : Kind::unusable, {}};
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include <algorithm>
#include <string_view>

#include "config/table_reader.h"

namespace snapfs {
namespace {

constexpr std::size_t kMaxNameBytes = 127;

// Not isalnum(): what a name is must not depend on the locale.
bool is_alphanumeric(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c >= '0' && c <= '9');
}

bool may_be_in_name(char c) {
  return is_alphanumeric(c) || c == '.' || c == '_' || c == '+' || c == '-';
}

}  // namespace

bool is_device_name(const std::string& name) {
  if (name.empty() || name.size() > kMaxNameBytes) return false;
  if (!is_alphanumeric(name.front())) return false;
  if (!std::all_of(name.begin(), name.end(), may_be_in_name)) return false;
  // tables/NAME.next.yaml and tables/NAME.rejected are other files' names.
  std::string_view view = name;
  return !view.ends_with(".next") && !view.ends_with(".rejected");
}

}  // namespace snapfs

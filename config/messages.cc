// SPDX-License-Identifier: MIT
#include "config/messages.h"

#include <algorithm>
#include <vector>

namespace snapfs {
namespace {

constexpr std::size_t kMaxQuotedBytes = 64;

// Longer words are compared by their beginnings: no candidate is longer, and
// hostile words must stay cheap.
constexpr std::size_t kMaxComparedBytes = 64;

// Levenshtein's distance, one row of the matrix at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

void fail(const Place& place, const std::string& message, int error) {
  throw TableError(place, message, error);
}

std::string quote(std::string_view text) {
  constexpr char kHexDigits[] = "0123456789abcdef";
  std::string result = "\"";
  for (char c : text.substr(0, kMaxQuotedBytes)) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      result += c;
    } else {
      result += "\\x";
      result += kHexDigits[byte >> 4];
      result += kHexDigits[byte & 15];
    }
  }
  return result + (text.size() > kMaxQuotedBytes ? "...\"" : "\"");
}

std::string_view nearest(std::string_view word,
                         std::span<const std::string_view> candidates) {
  word = word.substr(0, kMaxComparedBytes);
  return *std::min_element(candidates.begin(), candidates.end(),
                           [word](std::string_view a, std::string_view b) {
                             return edit_distance(word, a) <
                                    edit_distance(word, b);
                           });
}

}  // namespace snapfs

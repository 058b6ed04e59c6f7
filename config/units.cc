// SPDX-License-Identifier: MIT
#include "config/units.h"

#include <algorithm>
#include <limits>
#include <string>

namespace snapfs {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

uint64_t multiply(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kMax : product;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

struct NumberAndUnit {
  uint64_t number = 0;
  std::string unit;  // in lower case, without the blanks before it
};

std::optional<NumberAndUnit> split_unit(std::string_view text) {
  const auto* digits_end = std::find_if_not(text.begin(), text.end(), is_digit);
  auto digit_count = static_cast<std::size_t>(digits_end - text.begin());
  if (digit_count == 0) return std::nullopt;
  uint64_t number = 0;
  for (char c : text.substr(0, digit_count)) {
    number = multiply(number, 10);
    uint64_t digit = static_cast<uint64_t>(c - '0');
    number = number > kMax - digit ? kMax : number + digit;
  }
  std::string_view unit = text.substr(digit_count);
  // "16 KiB", but not "16 ".
  std::size_t blank_count = std::min(unit.find_first_not_of(' '), unit.size());
  if (blank_count == unit.size() && blank_count > 0) return std::nullopt;
  return NumberAndUnit{number, lower_case(unit.substr(blank_count))};
}

// Bytes in a unit; 0 if there is no such unit.
uint64_t unit_bytes(const std::string& unit) {
  if (unit == "b") return 1;
  if (unit == "s") return 512;
  std::size_t power = std::string_view("kmgtpe").find(unit[0]);
  if (power == std::string_view::npos) return 0;
  std::string suffix = unit.substr(1);
  if (!suffix.empty() && suffix != "ib" && suffix != "b") return 0;
  uint64_t base = suffix == "b" ? 1000 : 1024;
  uint64_t bytes = base;
  for (; power > 0; --power) bytes *= base;
  return bytes;
}

}  // namespace

std::optional<Size> parse_size(std::string_view text) {
  std::optional<NumberAndUnit> parts = split_unit(text);
  if (!parts) return std::nullopt;
  if (parts->unit.empty()) return Size{parts->number, false};
  uint64_t bytes = unit_bytes(parts->unit);
  if (bytes == 0) return std::nullopt;
  return Size{multiply(parts->number, bytes), true};
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::optional<NumberAndUnit> parts = split_unit(text);
  if (!parts) return std::nullopt;
  uint64_t unit_ms = 0;
  if (parts->unit == "ms") unit_ms = 1;
  if (parts->unit == "s" || parts->unit.empty()) unit_ms = 1000;
  if (parts->unit == "min") unit_ms = 60'000;
  if (parts->unit == "h") unit_ms = 3'600'000;
  if (unit_ms == 0) return std::nullopt;
  using Milliseconds = std::chrono::milliseconds;
  constexpr auto kMaxCount = static_cast<uint64_t>(Milliseconds::max().count());
  uint64_t count = std::min(multiply(parts->number, unit_ms), kMaxCount);
  return Milliseconds(static_cast<Milliseconds::rep>(count));
}

std::optional<uint64_t> parse_number(std::string_view text) {
  std::optional<NumberAndUnit> parts = split_unit(text);
  if (!parts || !parts->unit.empty()) return std::nullopt;
  return parts->number;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "tests/powercut/model.h"

#include <algorithm>
#include <cstring>

#include "core/chunk.h"
#include "tests/support/pattern.h"

namespace snapfs::test {

std::optional<uint64_t> generation_in(const std::byte* sector,
                                      uint64_t number) {
  // All words of a stamp are the same.
  if (std::memcmp(sector, sector + 8, kSectorBytes - 8) != 0) {
    return std::nullopt;
  }
  const uint64_t value = load_little_endian({sector, 8});
  if (value == 0) return 0;
  const uint64_t generation = value >> kGenerationShift;
  if (generation == 0 || value != stamp_of(number, generation)) {
    return std::nullopt;
  }
  return generation;
}

void View::begin_write(uint64_t first, uint64_t count, uint64_t generation,
                       uint64_t id) {
  for (uint64_t i = first; i < first + count; ++i) {
    sectors_[i].push_back({generation, id});
  }
}

void View::end_flush(uint64_t id) {
  keep_from(flushes_.at(id));
  flushes_.erase(id);
}

void View::settle() { keep_from(acknowledged_); }

// Nothing is older than the last of these writes.
void View::keep_from(const std::set<uint64_t>& writes) {
  for (std::vector<Value>& values : sectors_) {
    for (std::size_t i = values.size(); i-- > 1;) {
      if (!writes.contains(values[i].write)) continue;
      values.erase(values.begin(),
                   values.begin() + static_cast<std::ptrdiff_t>(i));
      values.front().write = 0;
      break;
    }
  }
}

bool View::may_be(uint64_t sector, uint64_t generation) const {
  const auto& values = sectors_[sector];
  return std::any_of(values.begin(), values.end(), [&](const Value& value) {
    return value.generation == generation;
  });
}

bool View::is_now(uint64_t sector, uint64_t generation) const {
  const auto& values = sectors_[sector];
  for (std::size_t i = values.size(); i-- > 0;) {
    if (values[i].generation == generation) return true;
    if (values[i].write == 0 || acknowledged_.contains(values[i].write)) {
      return false;
    }
  }
  return false;
}

std::string View::in_words(uint64_t sector) const {
  std::string words;
  for (const Value& value : sectors_[sector]) {
    if (!words.empty()) words += ", ";
    words += std::to_string(value.generation);
    if (value.write != 0) {
      words += acknowledged_.contains(value.write) ? " (not flushed)"
                                                   : " (not answered)";
    }
  }
  return words;
}

}  // namespace snapfs::test

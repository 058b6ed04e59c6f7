// SPDX-License-Identifier: MIT
#include "config/target_type.h"

#include <string_view>

#include "config/messages.h"

namespace snapfs {

namespace {

// In the order of TargetType.
constexpr std::string_view kTargets[] = {"snapshot-origin", "snapshot",
                                         "snapshot-merge", "snapshot-salvage"};

}  // namespace

TargetType target_type(const Word& word) {
  for (TargetType type : {TargetType::origin, TargetType::snapshot,
                          TargetType::merge, TargetType::salvage})
    if (word.text == to_string(type)) return type;
  fail(word.place, "unknown target type " + quote(word.text) +
                       "; the nearest known target is " +
                       quote(nearest(word.text, kTargets)));
}

const char* to_string(TargetType type) {
  return kTargets[static_cast<std::size_t>(type)].data();
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "config/target_type.h"

#include <string_view>

#include "config/messages.h"

namespace snapfs {

TargetType target_type(const Word& word) {
  static constexpr std::string_view kTargets[] = {"snapshot-origin",
                                                  "snapshot"};
  if (word.text == kTargets[0]) return TargetType::origin;
  if (word.text == kTargets[1]) return TargetType::snapshot;
  if (word.text == "snapshot-merge")
    fail(word.place, "target snapshot-merge is not supported by this version",
         EOPNOTSUPP);
  fail(word.place, "unknown target type " + quote(word.text) +
                       "; the nearest known target is " +
                       quote(nearest(word.text, kTargets)));
}

const char* to_string(TargetType type) {
  return type == TargetType::origin ? "snapshot-origin" : "snapshot";
}

}  // namespace snapfs

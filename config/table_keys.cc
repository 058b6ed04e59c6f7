// SPDX-License-Identifier: MIT
#include "config/table_keys.h"

#include <algorithm>
#include <span>

#include "config/messages.h"

namespace snapfs {
namespace {

// What a table line says itself.
constexpr std::string_view kInLine[] = {"target",     "device", "origin",
                                        "cow",        "store",  "features",
                                        "chunk_size", "length"};

constexpr std::string_view kOnlyOrigin[] = {"device"};
constexpr std::string_view kOnlySnapshot[] = {
    "origin",          "cow",        "store",     "features", "chunk_size",
    "commit_interval", "initialise", "stale",     "waits",    "handover_from",
    "handover_with",   "when_full",  "thresholds"};

bool contains(std::span<const std::string_view> keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

}  // namespace

bool goes_with_line(std::string_view key) { return !contains(kInLine, key); }

void check_keys(const MapReader& map, TargetType target) {
  bool is_origin = target == TargetType::origin;
  for (const Field& field : map.fields())
    if (is_origin ? contains(kOnlySnapshot, field.path())
                  : contains(kOnlyOrigin, field.path()))
      fail(field.key_place(), quote(field.path()) + " is not a key of target " +
                                  to_string(target));
}

}  // namespace snapfs

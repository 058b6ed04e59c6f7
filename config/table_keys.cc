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
// Of a snapshot or a merge.
constexpr std::string_view kNotOrigin[] = {
    "origin",          "cow",        "store",     "features", "chunk_size",
    "commit_interval", "initialise", "stale",     "waits",    "handover_from",
    "handover_with",   "when_full",  "thresholds"};
constexpr std::string_view kOnlySnapshot[] = {"wait"};
constexpr std::string_view kOnlyMerge[] = {"merge_rate", "also_as", "force",
                                           "origin_device"};

// A salvage only reads, and what it reads says the rest.
constexpr std::string_view kOfSalvage[] = {"name",   "target", "origin", "cow",
                                           "length", "mode",   "uid",    "gid"};

bool contains(std::span<const std::string_view> keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

bool is_key_of(TargetType target, std::string_view key) {
  if (target == TargetType::salvage) return contains(kOfSalvage, key);
  if (contains(kOnlyOrigin, key)) return target == TargetType::origin;
  if (contains(kNotOrigin, key)) return target != TargetType::origin;
  if (contains(kOnlySnapshot, key)) return target == TargetType::snapshot;
  if (contains(kOnlyMerge, key)) return target == TargetType::merge;
  return true;
}

}  // namespace

bool goes_with_line(std::string_view key) { return !contains(kInLine, key); }

void check_keys(const MapReader& map, TargetType target) {
  for (const Field& field : map.fields())
    if (!is_key_of(target, field.path()))
      fail(field.key_place(), quote(field.path()) + " is not a key of target " +
                                  to_string(target));
}

}  // namespace snapfs

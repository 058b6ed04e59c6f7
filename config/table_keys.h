// SPDX-License-Identifier: MIT
//
// The keys of a table, and which of them go together. Stateless.
#pragma once

#include <string_view>

#include "config/field.h"
#include "config/target_type.h"

namespace snapfs {

inline constexpr std::string_view kTableKeys[] = {
    "name",          "target",          "device",     "origin",
    "cow",           "store",           "features",   "chunk_size",
    "length",        "read_only",       "mode",       "uid",
    "gid",           "initialise",      "stale",      "activate",
    "table",         "commit_interval", "wait",       "merge_rate",
    "also_as",       "force",           "waits",      "handover_from",
    "handover_with", "when_full",       "thresholds", "origin_device",
};

inline constexpr std::string_view kWhenFullKeys[] = {"grow", "wait", "refuse"};
inline constexpr std::string_view kGrowKeys[] = {"step", "max"};

inline constexpr std::string_view kCowKeys[] = {"path", "create", "size",
                                                "initialise", "stale"};

// The keys that whoever keeps tables adds and takes away.
inline constexpr std::string_view kNoteKeys[] = {
    "handover_from", "handover_with", "origin_device", "waits"};

// May the key stand beside `table:`?
bool goes_with_line(std::string_view key);

// Throws TableError for the first key that means nothing to this target.
void check_keys(const MapReader& map, TargetType target);

}  // namespace snapfs

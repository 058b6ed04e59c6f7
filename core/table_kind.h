// SPDX-License-Identifier: MIT
//
// What a table asks for: an origin, a snapshot, or one of the things that are
// written down as snapshots.
#pragma once

#include <variant>

#include "core/table.h"

namespace snapfs {

inline bool is_origin(const Table& table) {
  return std::holds_alternative<OriginTable>(table.target);
}

inline const OriginTable& as_origin(const Table& table) {
  return std::get<OriginTable>(table.target);
}

inline const SnapshotTable& as_snapshot(const Table& table) {
  return std::get<SnapshotTable>(table.target);
}

inline bool is_merge(const Table& table) {
  return !is_origin(table) && as_snapshot(table).merge.has_value();
}

inline bool is_salvage(const Table& table) {
  return !is_origin(table) && as_snapshot(table).salvage;
}

// Is it what others may name as their origin?
inline bool acts_as_origin(const Table& table) {
  return is_origin(table) || is_merge(table);
}

// Will it write to its origin device?
inline bool writes_origin(const Table& table) {
  if (is_origin(table)) return !as_origin(table).read_only;
  return is_merge(table) || as_snapshot(table).discard_passdown_origin;
}

}  // namespace snapfs

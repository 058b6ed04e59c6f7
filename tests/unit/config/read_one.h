// SPDX-License-Identifier: MIT
//
// Reading a text with one table, in tests.
#pragma once

#include <string>

#include "config/table_reader.h"

namespace snapfs::test {

inline const ReadTablesOptions kOptions{"f.yaml", "/base", "default"};

// REQUIRES: there is exactly one; else throws std::runtime_error.
inline Table read_one(const std::string& text) {
  std::vector<Table> tables = read_tables(text, kOptions);
  if (tables.size() != 1) throw std::runtime_error("not one table");
  return tables[0];
}

inline OriginTable read_origin(const std::string& text) {
  return std::get<OriginTable>(read_one(text).target);
}

inline SnapshotTable read_snapshot(const std::string& text) {
  return std::get<SnapshotTable>(read_one(text).target);
}

// With these lines after the keys that every snapshot needs.
inline SnapshotTable snapshot_with(const std::string& lines) {
  return read_snapshot("target: snapshot\norigin: o\ncow: c\n" + lines);
}

// "FILE:LINE:COLUMN: message" of the error, or "no error".
inline std::string error_of(const std::string& text) {
  try {
    read_tables(text, kOptions);
  } catch (const TableError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace snapfs::test

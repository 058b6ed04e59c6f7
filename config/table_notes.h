// SPDX-License-Identifier: MIT
//
// The keys that whoever keeps tables for a later mount adds to what users have
// written, and takes away again. Edits the text, so that all else in it,
// comments too, stays as it is. Stateless.
#pragma once

#include <string>
#include <vector>

namespace snapfs {

// What is empty is not written.
struct TableNotes {
  std::string name = {};              // `name`, if the text has none
  std::string handed_over_from = {};  // `handover_from`
  std::vector<std::string> handed_over_with = {};  // `handover_with`
  std::string origin_device = {};                  // `origin_device`, a path
  bool waits = false;                              // `waits: true`
  bool was_live = false;                           // else `waits: false`
};

// `text`, of one table, as in Table::text, with these notes and no others.
// Throws TableError if it cannot be written so.
std::string with_notes(const std::string& text, const TableNotes& notes);

// `text` without notes; a name stays.
std::string without_notes(const std::string& text);

// Do two tables of one name say the same? Notes, comments and the way they are
// written do not count.
bool same_table(const std::string& text, const std::string& other);

}  // namespace snapfs

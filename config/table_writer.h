// SPDX-License-Identifier: MIT
//
// The texts of tables that nobody wrote: of the origin that a merge leaves, and
// of a merge that was asked for in other words. Stateless.
#pragma once

#include <string>

#include "core/table.h"

namespace snapfs {

// A double-quoted scalar. `text` is UTF-8 without control characters.
std::string quoted_scalar(const std::string& text);

// A YAML document that reads back as the same table. REQUIRES: an OriginTable.
std::string origin_text(const Table& table);

// The same of a snapshot-merge, with what is said of the merge, its origin, COW
// and store, when it goes live, and the file's attributes.
std::string merge_text(const Table& table);

// The same of a snapshot-salvage.
std::string salvage_text(const Table& table);

// What was read, or else, of one that a merge has left, origin_text().
// REQUIRES: the table was read, or is an OriginTable.
std::string text_of(const Table& table);

}  // namespace snapfs

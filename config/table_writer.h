// SPDX-License-Identifier: MIT
//
// The text of a table that nobody wrote: what a merge leaves is an origin.
// Stateless.
#pragma once

#include <string>

#include "core/table.h"

namespace snapfs {

// A YAML document that reads back as the same table. REQUIRES: an OriginTable.
std::string origin_text(const Table& table);

// What was read, or else, of one that a merge has left, origin_text().
// REQUIRES: the table was read, or is an OriginTable.
std::string text_of(const Table& table);

}  // namespace snapfs

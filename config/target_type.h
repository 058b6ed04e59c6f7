// SPDX-License-Identifier: MIT
//
// The targets that a table may name. Stateless.
#pragma once

#include "config/snapshot_arguments.h"

namespace snapfs {

enum class TargetType { origin, snapshot, merge, salvage };

// Throws TableError if there is no such target.
TargetType target_type(const Word& word);

// "snapshot-origin", "snapshot", "snapshot-merge" or "snapshot-salvage".
const char* to_string(TargetType type);

}  // namespace snapfs

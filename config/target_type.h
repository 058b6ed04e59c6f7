// SPDX-License-Identifier: MIT
//
// The targets that a table may name. Stateless.
#pragma once

#include "config/snapshot_arguments.h"

namespace snapfs {

enum class TargetType { origin, snapshot };

// Throws TableError if there is no such target, or not yet.
TargetType target_type(const Word& word);

// "snapshot-origin" or "snapshot".
const char* to_string(TargetType type);

}  // namespace snapfs

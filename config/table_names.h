// SPDX-License-Identifier: MIT
//
// Names across tables. Stateless.
#pragma once

#include <vector>

#include "core/table.h"

namespace snapfs {

// Throws TableError, at the second of two tables of one name, that names the
// place of the first. A table that waits may have the name of one that
// does not.
void check_unique_names(const std::vector<Table>& tables);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// snapfs merge: writes the table that merges a snapshot into its origin, and
// follows the merge to its end. As the functions of control_client.h.
#pragma once

#include <string>
#include <vector>

namespace snapfs {

int run_merge(const std::vector<std::string>& arguments);

}  // namespace snapfs

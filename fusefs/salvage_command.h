// SPDX-License-Identifier: MIT
//
// `snapfs salvage`: makes a device that shows what is left of an invalid
// snapshot, or lists what is not to be trusted of one.
#pragma once

#include <string>
#include <vector>

namespace snapfs {

// Returns the exit status; throws UsageError, or what says why it cannot be.
int run_salvage(const std::vector<std::string>& arguments);

}  // namespace snapfs

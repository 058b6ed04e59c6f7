// SPDX-License-Identifier: MIT
//
// `snapfs repair`: a sound store of what is sound in a damaged one.
#pragma once

#include <string>
#include <vector>

namespace snapfs {

// `arguments` without the subcommand's name. Returns a StoreExit.
int run_repair(const std::vector<std::string>& arguments);

}  // namespace snapfs

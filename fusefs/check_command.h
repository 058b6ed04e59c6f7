// SPDX-License-Identifier: MIT
//
// `snapfs check`: what is wrong with a store.
#pragma once

#include <string>
#include <vector>

namespace snapfs {

// `arguments` without the subcommand's name. Returns a StoreExit.
int run_check(const std::vector<std::string>& arguments);

}  // namespace snapfs

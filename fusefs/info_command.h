// SPDX-License-Identifier: MIT
//
// `snapfs info`: what a store is, as `key: value` lines.
#pragma once

#include <string>
#include <vector>

namespace snapfs {

// `arguments` without the subcommand's name. Returns a StoreExit.
int run_info(const std::vector<std::string>& arguments);

}  // namespace snapfs

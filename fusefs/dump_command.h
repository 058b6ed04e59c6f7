// SPDX-License-Identifier: MIT
//
// `snapfs dump`: the metadata of a store, as text or JSON.
#pragma once

#include <string>
#include <vector>

namespace snapfs {

// `arguments` without the subcommand's name. Returns a StoreExit.
int run_dump(const std::vector<std::string>& arguments);

}  // namespace snapfs

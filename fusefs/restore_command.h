// SPDX-License-Identifier: MIT
//
// `snapfs restore`: writes the metadata of a dump back to a COW device.
#pragma once

#include <string>
#include <vector>

namespace snapfs {

// `arguments` without the subcommand's name. Returns a StoreExit.
int run_restore(const std::vector<std::string>& arguments);

}  // namespace snapfs

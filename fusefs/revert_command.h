// SPDX-License-Identifier: MIT
//
// `snapfs revert`: brings a snapshot's origin back to what the snapshot shows,
// which stays, and follows that. As the other subcommands, see
// control_client.h.
#pragma once

#include <string>
#include <vector>

namespace snapfs {

int run_revert(const std::vector<std::string>& arguments);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What `snapfs merge` and `snapfs revert` have in common. Errors are
// UsageError, or std::runtime_error with a line for the user.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "fusefs/merge_progress.h"
#include "fusefs/mounted_device.h"

namespace snapfs {

// Bytes a second; a number without a unit is bytes.
uint64_t parse_rate(std::string text);

// The device whose second name this is; empty: of none.
std::string first_name_of(const MountedDevice& device);

// The device that is the snapshot's origin: both say what they lie on in the
// same words. `hint` ends what is said if there is none.
MountedDevice origin_of(const MountedDevice& snapshot, const std::string& hint);

// How one of them is spoken of.
struct CopyWords {
  std::string what;   // "merge"
  std::string doing;  // "merging"
  std::string done;   // "merged"
  std::function<MergeStatus(const std::string& status)> read_status;
};

// Tells how far the origin `device` is until it has ended, as a bar that moves,
// on a terminal, or a line for each tenth. The exit status.
int follow(const MountedDevice& device, const CopyWords& words);

}  // namespace snapfs

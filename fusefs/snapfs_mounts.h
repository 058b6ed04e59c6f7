// SPDX-License-Identifier: MIT
//
// Which of the mounts in a mount table are ours. Stateless functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fusefs/mount_table.h"

namespace snapfs {

bool is_snapfs(const MountEntry& mount);

// What is on top at exactly this path: the last one mounted there.
std::optional<MountEntry> mounted_at(const std::vector<MountEntry>& mounts,
                                     const std::string& mount_point);

// One entry for each mounted snapfs that can be reached: the first place that
// shows it. Bind mounts of it, and what something else covers, are left out.
std::vector<MountEntry> snapfs_mounts(const std::vector<MountEntry>& mounts);

// Does one of `mounts` show the same snapfs as `mount`, there or elsewhere? The
// number of a device alone does not tell: when a mount has gone, another one
// may get it at once.
bool shows(const std::vector<MountEntry>& mounts, const MountEntry& mount);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/snapfs_mounts.h"

#include <algorithm>
#include <set>

namespace snapfs {

bool is_snapfs(const MountEntry& mount) { return mount.type == "fuse.snapfs"; }

std::optional<MountEntry> mounted_at(const std::vector<MountEntry>& mounts,
                                     const std::string& mount_point) {
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    if (mount->mount_point == mount_point) return *mount;
  }
  return std::nullopt;
}

std::vector<MountEntry> snapfs_mounts(const std::vector<MountEntry>& mounts) {
  std::vector<MountEntry> ours;
  std::set<dev_t> seen;
  for (const MountEntry& mount : mounts) {
    if (!is_snapfs(mount) || seen.contains(mount.device)) continue;
    if (mounted_at(mounts, mount.mount_point)->id != mount.id) continue;
    seen.insert(mount.device);
    ours.push_back(mount);
  }
  return ours;
}

bool shows(const std::vector<MountEntry>& mounts, const MountEntry& mount) {
  return std::any_of(mounts.begin(), mounts.end(), [&](const MountEntry& one) {
    return is_snapfs(one) && one.device == mount.device &&
           one.source == mount.source;
  });
}

}  // namespace snapfs

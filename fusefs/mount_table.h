// SPDX-License-Identifier: MIT
//
// The mounts of a process, as /proc/PID/mountinfo lists them. Reading it asks
// no filesystem anything, so it is safe for a daemon that serves one of them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace snapfs {

struct MountEntry {
  int id = 0;        // as mnt_id in /proc/PID/fdinfo
  dev_t device = 0;  // of the superblock, as /proc/locks has it
  std::string mount_point;
  std::string type;        // "ext4", "fuse.snapfs"
  std::string source;      // "/dev/sda1", or what the filesystem says
  bool read_only = false;  // the superblock, not merely this mount of it
};

// In the order of mounting. Empty if the file cannot be read.
std::vector<MountEntry> read_mount_table(
    const std::string& file = "/proc/self/mountinfo");

// The block device that the mount's source names, if it does. Filesystems over
// several devices (btrfs) have a device number of their own, and only the
// source tells what they are on.
std::optional<dev_t> source_device(const MountEntry& mount);

// Those of `mounts` that show the filesystem on this block device.
std::vector<MountEntry> mounts_of(const std::vector<MountEntry>& mounts,
                                  dev_t block_device);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What sysfs tells about block devices: names, loops and what is stacked on
// what. Nothing here opens a device or asks a filesystem but sysfs.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace snapfs {

// "sda1", "loop3"; "MAJOR:MINOR" if sysfs does not know it.
std::string kernel_name(dev_t block_device);

// A name for people: "/dev/loop3", "/dev/mapper/vg-root".
std::string device_path(dev_t block_device);

std::string number_text(dev_t block_device);  // "MAJOR:MINOR"

bool is_read_only_device(dev_t block_device);

struct LoopBacking {
  dev_t loop = 0;
  std::string path;         // without the mark of a deleted file
  bool deleted = false;     // the file has no name any more
  uint64_t offset = 0;      // bytes
  uint64_t size_limit = 0;  // bytes; 0: to the end
  bool read_only = false;

  bool is_whole_file() const { return offset == 0 && size_limit == 0; }
};

// Empty if the device is not a loop device, or none that is attached.
std::optional<LoopBacking> loop_backing(dev_t block_device);

std::vector<LoopBacking> attached_loops();

// Partitions of a disk.
std::vector<dev_t> partitions_of(dev_t block_device);

// The disk of a partition.
std::optional<dev_t> disk_of(dev_t partition);

// Devices built on this one (device-mapper, md), and those it is built on.
std::vector<dev_t> holders_of(dev_t block_device);
std::vector<dev_t> slaves_of(dev_t block_device);

// First line of a small file, without the newline; empty if there is none.
std::string read_line(const std::string& file);

}  // namespace snapfs

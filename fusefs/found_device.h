// SPDX-License-Identifier: MIT
//
// What a path leads to, before it is opened: which device or file it is, and
// which storage is below. Finding it out reads nothing of the device.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "core/device_opener.h"
#include "core/unique_fd.h"
#include "fusefs/own_mount.h"

namespace snapfs {

struct FoundDevice {
  std::string path;  // as the user wrote it
  UniqueFd fd;       // O_PATH
  // Where a lock on it stands in /proc/locks.
  dev_t filesystem = 0;
  ino_t inode = 0;

  DeviceId id;
  DeviceId storage;  // as OpenedDevice::storage

  // For a loop device: the file or device that it is attached to, where that
  // can be reached by its name.
  std::unique_ptr<FoundDevice> below;

  bool is_block() const { return id.is_block; }
  dev_t block_device() const { return static_cast<dev_t>(id.device); }
};

// Throws Refusal: nothing there (ENOENT), not a block device or regular file,
// on the own mount or resting on it, not allowed.
FoundDevice find_device(const OwnMount& own_mount, const std::string& path);

// What `target` leads to. REQUIRES: target.outcome is found.
FoundDevice examine_target(const OwnMount& own_mount, const std::string& path,
                           PathTarget target);

// Throws the Refusal for a path that leads nowhere. REQUIRES: target.outcome is
// not found.
[[noreturn]] void refuse_target(const std::string& path,
                                const PathTarget& target);

// Opens what was found, by its inode, with open(2)'s flags. An invalid fd and
// errno if that fails.
UniqueFd reopen(const FoundDevice& device, int flags);

// The same, or throws the Refusal for what went wrong.
UniqueFd reopen_or_refuse(const FoundDevice& device, int flags);
[[noreturn]] void refuse_open(const FoundDevice& device, int error);

}  // namespace snapfs

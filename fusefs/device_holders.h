// SPDX-License-Identifier: MIT
//
// Who uses a device, for messages and for the decision whether to wait. All of
// it is a snapshot of a moment; what makes claims safe are the locks.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "fusefs/found_device.h"
#include "fusefs/own_mount.h"

namespace snapfs {

enum class Access {
  shared,     // to read, among other readers
  exclusive,  // to write
};

struct Holder {
  enum class Kind {
    unknown,
    self,            // this process
    mounted_snapfs,  // a snapfs that serves its mount
    ending_snapfs,   // a snapfs without a mount: ending, or just starting
    process,         // some other program
    kernel,          // mounted, swap, part of another device
  };
  Kind kind = Kind::unknown;
  std::string text;  // "it is mounted on /srv (ext4)"
};

// Whoever keeps the device from being claimed: by its lock, in the kernel, or
// having it open. `record_directory` as for examine_process().
Holder find_holder(const FoundDevice& device,
                   const std::string& record_directory);

// What the kernel itself does with a block device or its partitions that does
// not go together with `access`; empty if nothing. Readers put up with readers:
// a filesystem mounted read-only.
std::string kernel_use(dev_t block_device, Access access);

// A loop device that is attached to the file or device and does not go together
// with `access`, and its use: "it is attached to /dev/loop3, which is mounted
// on /srv (ext4)"; empty if none. The loop device `except` does not count.
std::string loop_use(const OwnMount& own_mount, const FoundDevice& device,
                     Access access, std::optional<dev_t> except);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// How the core gets at devices by path. The real one (fusefs/host_devices)
// claims what it opens, so that no two writers share a device; tests hand out
// memory. Thread-safe.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/block_device.h"
#include "core/table.h"

namespace snapfs {

// Which device it really is, whatever the path: st_rdev of a block device, or
// (st_dev, st_ino) of a regular file.
struct DeviceId {
  bool is_block = false;
  uint64_t device = 0;
  uint64_t inode = 0;

  // The check takes the 0 that a defaulted comparison implies for a null
  // pointer. NOLINTNEXTLINE(modernize-use-nullptr,hicpp-use-nullptr)
  friend auto operator<=>(const DeviceId&, const DeviceId&) = default;
};

struct OpenedDevice {
  // Destroying the last reference closes the device and gives up the claim.
  std::shared_ptr<BlockDevice> device;
  DeviceId id;
  // The storage below: a loop device over a whole file has the file's id here,
  // everything else its own.
  DeviceId storage;
  // As a table line prints it: "MAJOR:MINOR", or the path of a regular file.
  std::string table_name;
  // This call made the file.
  bool created = false;
};

class DeviceOpener {
 public:
  virtual ~DeviceOpener() = default;

  // Opens an origin: shared with other readers, or exclusively to write.
  // Throws TableError at `place`: missing, unreadable, a directory, in use
  // (naming the holder), ...
  virtual OpenedDevice open_origin(const std::string& path, bool writable,
                                   const Place& place) = 0;

  // Opens a COW exclusively (read-only: shared), making it first if asked to
  // and nothing is there. Throws as above. Writes nothing to an existing one.
  virtual OpenedDevice open_cow(const CowPath& cow, bool writable,
                                const Place& place) = 0;

  // OpenedDevice::storage of what is at `path`, without opening or claiming it;
  // nothing if nothing is there. Throws TableError if it cannot be looked at.
  virtual std::optional<DeviceId> storage_of(const std::string& path,
                                             const Place& place) = 0;

  // What a probe for known formats finds on the device, in words ("an ext4
  // filesystem, label root"); empty if nothing. Reads only.
  virtual std::string foreign_content(const OpenedDevice& opened) = 0;

  // Deletes a file that open_cow() made, when its table is not taken after
  // all. REQUIRES: opened.created. Does not throw.
  virtual void discard_created(const OpenedDevice& opened) noexcept = 0;
};

}  // namespace snapfs

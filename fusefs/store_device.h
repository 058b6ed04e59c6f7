// SPDX-License-Identifier: MIT
//
// Devices that the commands on stores work on: claimed as a mount claims them,
// but that something in use may be looked at, with a warning. Throws Refusal,
// TableError (without a place) and std::system_error.
#pragma once

#include <optional>
#include <string>

#include "core/device_opener.h"
#include "fusefs/host_devices.h"

namespace snapfs {

class StoreDevices {
 public:
  StoreDevices();

  // If it is in use the user is told that what is read may change meanwhile.
  OpenedDevice open_to_read(const std::string& path);

  // Nobody else may have it.
  OpenedDevice open_to_write(const std::string& path);

  // Opens what a whole new store is written to. Where nothing is, a file of
  // `bytes` is made; a block device must have room for so many, and nothing on
  // it. `force`: whatever is on it, and files as well, which are made longer if
  // need be. Never the storage `source`.
  OpenedDevice open_output(const std::string& path, uint64_t bytes, bool force,
                           const std::optional<DeviceId>& source);

  // What a probe finds on it that is not a store; empty if nothing.
  std::string foreign_content(const OpenedDevice& opened) {
    return host_.foreign_content(opened);
  }

  // Deletes a file that open_output() made.
  void discard(const OpenedDevice& opened) noexcept {
    host_.discard_created(opened);
  }

 private:
  HostDevices host_;
};

// Makes a file longer that has not as many bytes. Throws Refusal for a block
// device.
void make_room(const OpenedDevice& opened, const std::string& path,
               uint64_t bytes);

// In bytes.
uint64_t size_of_device(StoreDevices& devices, const std::string& path);

}  // namespace snapfs

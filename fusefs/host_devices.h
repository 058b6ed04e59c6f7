// SPDX-License-Identifier: MIT
//
// The devices of this machine: opens block devices and regular files by path,
// claims what it opens, and stays out of the mount that it serves. Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/device_opener.h"
#include "fusefs/device_claim.h"
#include "fusefs/own_mount.h"

namespace snapfs {

class HostDevices : public DeviceOpener {
 public:
  using Options = ClaimRegistry::Options;

  HostDevices();
  // `options.notice` is called from the thread that opens, with a line for the
  // user when it has to wait.
  explicit HostDevices(Options options);

  // From now on, what is on this mount, or rests on it, is refused without a
  // request to it. Throws std::system_error if nothing is mounted there.
  void set_own_mount(const std::string& mount_point);

  // Claims belong to the process, and /proc/locks names the process that took
  // them: call these in the process that will serve the mount, after its last
  // fork. All may wait as ClaimPatience says.
  OpenedDevice open_origin(const std::string& path, bool writable,
                           const Place& place) override;
  OpenedDevice open_cow(const CowPath& cow, bool writable,
                        const Place& place) override;
  std::optional<DeviceId> storage_of(const std::string& path,
                                     const Place& place) override;
  std::string foreign_content(const OpenedDevice& opened) override;
  void discard_created(const OpenedDevice& opened) noexcept override;

 private:
  OpenedDevice open_found(const FoundDevice& device, bool writable);
  OpenedDevice create(const std::string& path, uint64_t bytes,
                      const PathTarget& where);

  OwnMount own_mount_;
  ClaimRegistry claims_;
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A DeviceOpener in front of another that remembers the files made while a
// mount begins, so that a mount that fails in the end leaves none behind.
// Thread-safe.
#pragma once

#include <optional>
#include <vector>

#include "core/device_opener.h"
#include "core/mutex.h"

namespace snapfs {

class CreatedFiles : public DeviceOpener {
 public:
  // `opener` must live longer.
  explicit CreatedFiles(DeviceOpener& opener) : opener_(opener) {}
  // Deletes the files that were made since, unless keep() was called. The
  // devices that use them must be gone.
  ~CreatedFiles() override;

  // The mount is there: the files stay, nothing is remembered any more.
  void keep() EXCLUDES(mutex_);

  OpenedDevice open_origin(const std::string& path, bool writable,
                           const Place& place) override;
  OpenedDevice open_cow(const CowPath& cow, bool writable,
                        const Place& place) override EXCLUDES(mutex_);
  std::optional<DeviceId> storage_of(const std::string& path,
                                     const Place& place) override;
  std::string foreign_content(const OpenedDevice& opened) override;
  void discard_created(const OpenedDevice& opened) noexcept override
      EXCLUDES(mutex_);

 private:
  DeviceOpener& opener_;
  Mutex mutex_;
  bool keep_ GUARDED_BY(mutex_) = false;
  std::vector<OpenedDevice> created_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

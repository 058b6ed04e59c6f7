// SPDX-License-Identifier: MIT
#include "fusefs/created_files.h"

#include <algorithm>

namespace snapfs {

CreatedFiles::~CreatedFiles() {
  MutexLock lock(mutex_);
  for (const OpenedDevice& opened : created_) opener_.discard_created(opened);
}

void CreatedFiles::keep() {
  MutexLock lock(mutex_);
  keep_ = true;
  // Holding a device would keep its claim after the device was removed.
  created_.clear();
}

OpenedDevice CreatedFiles::open_origin(const std::string& path, bool writable,
                                       const Place& place) {
  return opener_.open_origin(path, writable, place);
}

OpenedDevice CreatedFiles::open_cow(const CowPath& cow, bool writable,
                                    const Place& place) {
  OpenedDevice opened = opener_.open_cow(cow, writable, place);
  MutexLock lock(mutex_);
  if (opened.created && !keep_) created_.push_back(opened);
  return opened;
}

std::optional<DeviceId> CreatedFiles::storage_of(const std::string& path,
                                                 const Place& place) {
  return opener_.storage_of(path, place);
}

std::string CreatedFiles::foreign_content(const OpenedDevice& opened) {
  return opener_.foreign_content(opened);
}

void CreatedFiles::discard_created(const OpenedDevice& opened) noexcept {
  {
    MutexLock lock(mutex_);
    std::erase_if(created_, [&](const OpenedDevice& created) {
      return created.device == opened.device;
    });
  }
  opener_.discard_created(opened);
}

}  // namespace snapfs

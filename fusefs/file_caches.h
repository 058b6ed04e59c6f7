// SPDX-License-Identifier: MIT
//
// What the kernel keeps of device files, around a change of what answers for
// them. Called by the threads that suspend and load, none of which takes
// requests. Thread-safe.
//
// Only shared mappings that can be written hold what the device has not got
// yet; they need an open file that can be read and written. Clean pages stay
// when a device is suspended, and go when another target answers.
#pragma once

#include "core/device_watcher.h"
#include "fusefs/cache_notifier.h"
#include "fusefs/device_catalog.h"
#include "fusefs/tree_context.h"

namespace snapfs {

class FileCaches : public DeviceWatcher {
 public:
  FileCaches(TreeContext& context, DeviceCatalog& catalog)
      : context_(context), catalog_(catalog) {}

  void before_freeze(Device& device) override;
  void after_freeze(Device& device) override;
  void after_change(Device& device) override;
  // Gives those a moment who have closed the file already.
  std::string users_of(Device& device) override;

  // The device became invalid: mappings and cached pages have to fail as reads
  // do. Does not block, so that it may be called from anywhere.
  void content_lost(const std::string& device);

 private:
  void report(const Device& device, const std::string& text);

  TreeContext& context_;
  DeviceCatalog& catalog_;
  CacheNotifier notifier_;
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// The devices as the tree shows them: each with its node, without those whose
// removal is under way. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/mutex.h"
#include "fusefs/device_node.h"

namespace snapfs {

class DeviceCatalog {
 public:
  DeviceCatalog(TreeContext& context, DeviceSet& devices)
      : context_(context), devices_(devices) {}

  // Null if there is none, or it is hidden.
  std::shared_ptr<DeviceNode> find(const std::string& name) EXCLUDES(mutex_);

  // The node that has been made for the device; null if there is none yet.
  // Asks nobody else, so it may be called while a DeviceSet is at work.
  std::shared_ptr<DeviceNode> known_node(const Device& device) EXCLUDES(mutex_);

  // Ordered by name.
  std::vector<std::shared_ptr<DeviceNode>> list() EXCLUDES(mutex_);

  // Counts a user of the device's file, who has to call close(). Throws
  // std::system_error(ESTALE) if the device is going or gone: the kernel looks
  // the name up again then.
  void open(DeviceNode& node) EXCLUDES(mutex_);
  void close(DeviceNode& node) noexcept EXCLUDES(mutex_);

  // Waits a moment for those who have closed the device's file already: the
  // kernel lets close(2) return before it tells us.
  void wait_for_release(const std::string& name) EXCLUDES(mutex_);
  // Asks nobody else either.
  void wait_for_release(const Device& device) EXCLUDES(mutex_);

  // Takes the device out of the tree; it lives on. Throws
  // std::system_error(Errc::busy) if it is open, unless it has been handed
  // over.
  void hide(const std::string& name) EXCLUDES(mutex_);
  void show(const std::string& name) EXCLUDES(mutex_);

 private:
  std::shared_ptr<DeviceNode> node_of(const std::shared_ptr<Device>& device)
      REQUIRES(mutex_);

  TreeContext& context_;
  DeviceSet& devices_;
  Mutex mutex_;
  CondVar closed_;
  std::map<std::string, std::shared_ptr<DeviceNode>> nodes_ GUARDED_BY(mutex_);
  std::set<std::string> hidden_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

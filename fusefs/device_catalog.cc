// SPDX-License-Identifier: MIT
#include "fusefs/device_catalog.h"

#include <cerrno>
#include <chrono>

#include "core/error.h"

namespace snapfs {

namespace {
constexpr std::chrono::milliseconds kReleasePatience{1000};
}

std::shared_ptr<DeviceNode> DeviceCatalog::node_of(
    const std::shared_ptr<Device>& device) {
  std::shared_ptr<DeviceNode>& node = nodes_[device->name()];
  if (node == nullptr || &node->device() != device.get()) {
    node = std::make_shared<DeviceNode>(context_, *this, device);
  }
  return node;
}

std::shared_ptr<DeviceNode> DeviceCatalog::find(const std::string& name) {
  // Asked under the lock, here and below: an answer from before would give a
  // device a second node.
  MutexLock lock(mutex_);
  std::shared_ptr<Device> device = devices_.find(name);
  if (device == nullptr) {
    nodes_.erase(name);
    return nullptr;
  }
  if (hidden_.contains(name)) return nullptr;
  return node_of(device);
}

std::shared_ptr<DeviceNode> DeviceCatalog::known_node(const Device& device) {
  MutexLock lock(mutex_);
  auto found = nodes_.find(device.name());
  if (found == nodes_.end() || &found->second->device() != &device) {
    return nullptr;
  }
  return found->second;
}

std::vector<std::shared_ptr<DeviceNode>> DeviceCatalog::list() {
  std::vector<std::shared_ptr<DeviceNode>> result;
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<Device>> devices = devices_.devices();
  // Built anew, so that nodes of devices that are gone go as well.
  std::map<std::string, std::shared_ptr<DeviceNode>> nodes;
  for (const std::shared_ptr<Device>& device : devices) {
    std::shared_ptr<DeviceNode> node = node_of(device);
    nodes[device->name()] = node;
    if (!hidden_.contains(device->name())) result.push_back(std::move(node));
  }
  nodes_.swap(nodes);
  return result;
}

void DeviceCatalog::open(DeviceNode& node) {
  MutexLock lock(mutex_);
  if (hidden_.contains(node.device().name()) || !node.device().try_open()) {
    refuse(ESTALE);
  }
}

void DeviceCatalog::close(DeviceNode& node) noexcept {
  MutexLock lock(mutex_);
  node.device().closed();
  closed_.notify_all();
}

void DeviceCatalog::wait_for_release(const std::string& name) {
  const std::shared_ptr<Device> device = devices_.find(name);
  if (device != nullptr) wait_for_release(*device);
}

void DeviceCatalog::wait_for_release(const Device& device) {
  auto deadline = std::chrono::steady_clock::now() + kReleasePatience;
  MutexLock lock(mutex_);
  while (device.open_count() != 0) {
    if (closed_.wait_until(mutex_, deadline) == std::cv_status::timeout) return;
  }
}

void DeviceCatalog::hide(const std::string& name) {
  MutexLock lock(mutex_);
  std::shared_ptr<Device> device = devices_.find(name);
  if (device == nullptr) throw std::system_error(Errc::no_such_device);
  if (device->open_count() != 0 &&
      device->state() != DeviceState::handed_over) {
    throw std::system_error(Errc::busy, name + " is open");
  }
  hidden_.insert(name);
}

void DeviceCatalog::show(const std::string& name) {
  MutexLock lock(mutex_);
  hidden_.erase(name);
}

}  // namespace snapfs

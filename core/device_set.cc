// SPDX-License-Identifier: MIT
#include "core/device_set.h"

#include "core/error.h"
#include "core/snapshot.h"
#include "core/table_load.h"

namespace snapfs {

DeviceSet::~DeviceSet() {
  MutexLock load_lock(load_mutex_);
  for (auto& [name, member] : members_) flush(*member.device);
  for (auto& [name, member] : members_) take_down(std::move(member));
}

void DeviceSet::load(std::vector<Table> tables) {
  TableLoad(*this, std::move(tables)).run();
}

void DeviceSet::remove(const std::string& name) {
  MutexLock load_lock(load_mutex_);
  auto found = members_.find(name);
  if (found == members_.end()) {
    throw std::system_error(Errc::no_such_device, name);
  }
  Device& device = *found->second.device;
  {
    MutexLock device_lock(device.mutex_);
    if (device.open_count_ != 0) {
      throw std::system_error(Errc::busy, name + " is open");
    }
    device.removed_ = true;
  }
  {
    MutexLock lock(mutex_);
    devices_.erase(name);
  }
  Member member = std::move(found->second);
  members_.erase(found);
  flush(*member.device);
  take_down(std::move(member));
  events_.on_event({EventKind::remove, name, "removed"});
}

// Takes a device's target away, so that it answers EIO, and its snapshot out of
// the family.
void DeviceSet::take_down(Member member) {
  Device& device = *member.device;
  device.admission_.close();
  device.admission_.drain();
  // What came between the flush and here.
  flush(device);
  if (member.snapshot != nullptr) {
    Admission& gate = member.family->gate();
    gate.close();
    gate.drain();
    member.family->remove(*member.snapshot);
    removed_[member.cow] = {member.origin, write_count(member.origin)->load()};
    if (member.snapshot->exceptions().is_unrecorded_invalid()) {
      untrusted_.insert(member.cow);
    }
    gate.open();
  }
  {
    MutexLock lock(device.mutex_);
    device.removed_ = true;
    device.live_ = nullptr;
  }
  device.admission_.open();
}

std::shared_ptr<Device> DeviceSet::find(const std::string& name) const {
  MutexLock lock(mutex_);
  auto found = devices_.find(name);
  return found == devices_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Device>> DeviceSet::devices() const {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<Device>> all;
  for (const auto& [name, device] : devices_) all.push_back(device);
  return all;
}

void DeviceSet::flush_all() noexcept {
  for (const auto& device : devices()) flush(*device);
}

void DeviceSet::flush(Device& device) noexcept {
  try {
    std::shared_ptr<Target> target = device.live();
    if (target != nullptr && !target->read_only()) target->flush();
  } catch (const std::exception& error) {
    events_.on_event({EventKind::error, device.name(), error.what()});
  }
}

DeviceSet::WriteCount DeviceSet::write_count(const DeviceId& origin) {
  WriteCount& count = write_counts_[origin];
  if (count == nullptr) count = std::make_shared<std::atomic<uint64_t>>(0);
  return count;
}

}  // namespace snapfs

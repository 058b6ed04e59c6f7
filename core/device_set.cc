// SPDX-License-Identifier: MIT
//
// The part of DeviceSet that knows which devices there are, and does what
// concerns them all.
#include "core/device_set.h"

#include <utility>

#include "core/error.h"
#include "core/table_load.h"

namespace snapfs {

DeviceSet::DeviceSet(DeviceOpener& opener, EventSink& events)
    : opener_(opener),
      events_(events),
      merge_driver_([this](std::shared_ptr<BackgroundCopy> copy,
                           const std::string& failure) {
        copy_ended(std::move(copy), failure);
      }) {}

DeviceSet::~DeviceSet() {
  merge_driver_.stop();
  MutexLock load_lock(load_mutex_);
  for (auto& [name, member] : members_) flush(*member.device);
  for (auto& [name, member] : members_) take_down(std::move(member));
}

void DeviceSet::load(std::vector<Table> tables) {
  TableLoad(*this, std::move(tables)).run();
}

DeviceSet::Member& DeviceSet::member_of(const std::string& name) {
  auto found = members_.find(name);
  if (found == members_.end()) {
    throw std::system_error(Errc::no_such_device, name);
  }
  return found->second;
}

bool DeviceSet::Member::has_store() const {
  return is_merge() ||
         (is_snapshot() && device->state() != DeviceState::handed_over);
}

std::shared_ptr<Device> DeviceSet::find(const std::string& name) const {
  MutexLock lock(mutex_);
  auto found = devices_.find(name);
  return found == devices_.end() ? nullptr : found->second;
}

bool DeviceSet::has_outgrown_table(const std::string& name) {
  MutexLock load_lock(load_mutex_);
  auto found = members_.find(name);
  // A merge keeps its length.
  if (found == members_.end() || found->second.kind != Member::Kind::origin) {
    return false;
  }
  const Device& device = *found->second.device;
  const std::shared_ptr<const Table> table = device.live_table();
  const std::shared_ptr<Target> live = device.live();
  return table != nullptr && live != nullptr &&
         !std::get<OriginTable>(table->target).length_sectors &&
         found->second.family->origin().size() != live->size();
}

std::vector<std::shared_ptr<Device>> DeviceSet::devices() const {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<Device>> all;
  for (const auto& [name, device] : devices_) all.push_back(device);
  return all;
}

void DeviceSet::wake_waiting() const {
  for (const auto& device : devices()) {
    std::shared_ptr<Target> target = device->live();
    if (target != nullptr) target->wake_waiting();
  }
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

// SPDX-License-Identifier: MIT
//
// The part of DeviceSet that has to do with second names, which a merge gives
// its origin.
#include <utility>

#include "core/device_set.h"
#include "core/table_kind.h"

namespace snapfs {

// Those that are no devices yet.
void DeviceSet::add_second_names(Member& member) {
  const std::shared_ptr<const Table> table = member.device->live_table();
  for (const std::string& name : as_snapshot(*table).merge->also_as) {
    if (members_.contains(name)) continue;
    Member& second = members_[name];
    second.device = std::make_shared<Device>(name);
    Table own = *table;
    own.name = name;
    {
      MutexLock lock(second.device->mutex_);
      second.device->live_table_ = std::make_shared<const Table>(own);
    }
    become_second_name(second, member);
    MutexLock lock(mutex_);
    devices_.emplace(name, second.device);
  }
}

void DeviceSet::become_second_name(Member& member, Member& of) {
  const std::string& name = of.device->name();
  std::shared_ptr<Target> target = of.device->live();
  member.kind = Member::Kind::second;
  member.second_name_of = name;
  member.family = of.family;
  member.origin = of.origin;
  member.origin_table_name = of.origin_table_name;
  member.writes_origin = true;
  member.snapshot = nullptr;
  member.cow = {};
  member.cow_path.clear();
  MutexLock lock(member.device->mutex_);
  member.device->live_ = std::move(target);
  member.device->second_name_of_ = name;
}

std::vector<DeviceSet::Member*> DeviceSet::second_names_of(
    const std::string& name) {
  std::vector<Member*> found;
  for (auto& [each, member] : members_) {
    if (member.is_second() && member.second_name_of == name) {
      found.push_back(&member);
    }
  }
  return found;
}

std::set<std::string> DeviceSet::all_names_of(const std::string& name) {
  std::set<std::string> names{name};
  for (Member* second : second_names_of(name)) {
    names.insert(second->device->name());
  }
  return names;
}

// REQUIRES: no request is inside under any of the names.
void DeviceSet::set_live_of_all_names(Member& origin,
                                      const std::shared_ptr<Target>& target) {
  for (const std::string& name : all_names_of(origin.device->name())) {
    Device& device = *member_of(name).device;
    MutexLock lock(device.mutex_);
    device.live_ = target;
  }
}

// Those of an origin whose target has changed; the origin itself goes on
// already.
void DeviceSet::thaw_second_names(const std::vector<Member*>& frozen) {
  for (Member* member : frozen) {
    Device& device = *member->device;
    if (!member->is_second() || device.state() != DeviceState::suspended) {
      continue;
    }
    thaw(*member);
    if (watcher_ != nullptr) watcher_->after_change(device);
  }
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// The part of DeviceSet that keeps next tables, which are loaded and not live,
// and drops them again.
#include <utility>

#include "core/device_set.h"
#include "core/error.h"

namespace snapfs {

// The device whose next table waits for the store of `source`; null: none.
DeviceSet::Member* DeviceSet::waiting_for(const std::string& source) {
  for (auto& [name, member] : members_) {
    if (member.next && member.next->source == source) return &member;
  }
  return nullptr;
}

void DeviceSet::drop_next(const std::string& name) {
  auto found = members_.find(name);
  Device& device = *found->second.device;
  found->second.next.reset();
  bool has_live = found->second.kind != Member::Kind::none;
  {
    MutexLock lock(device.mutex_);
    device.next_table_ = nullptr;
    device.next_source_.clear();
    if (!has_live) device.removed_ = true;
  }
  if (has_live) return;
  members_.erase(found);
  MutexLock lock(mutex_);
  devices_.erase(name);
}

void DeviceSet::clear(const std::string& name) {
  MutexLock load_lock(load_mutex_);
  Member& member = member_of(name);
  if (!member.next) {
    throw std::system_error(Errc::no_such_device, name + " has no next table");
  }
  cancel_next(member);
  keep_dropped(name);
}

// What was loaded together is dropped together.
void DeviceSet::cancel_next(Member& member) {
  const std::set<std::string> group = *member.next->group;
  for (const std::string& each : group) {
    drop_next(each);
    events_.on_event({EventKind::clear, each, "the next table was dropped"});
  }
}

void DeviceSet::set_next(const std::string& name, Next next) {
  Member& member = members_[name];
  if (member.device == nullptr) {
    member.device = std::make_shared<Device>(name);
    MutexLock lock(mutex_);
    devices_.emplace(name, member.device);
  }
  {
    MutexLock lock(member.device->mutex_);
    member.device->next_table_ = std::make_shared<const Table>(next.table);
    member.device->next_source_ =
        next.merge.empty() ? next.source : "the merge of " + next.merge;
  }
  events_.on_event(
      {EventKind::wait, name,
       next.merge.empty()
           ? next.source.empty() ? "loaded" : "waiting for " + next.source
           : "waiting for the merge of " + next.merge});
  leave_group(name, member, next.group.get());
  member.next = std::move(next);
}

// Its next table is replaced by one of the group `stays_in` (null: of none).
void DeviceSet::leave_group(const std::string& name, Member& member,
                            const std::set<std::string>* stays_in) {
  if (member.next && member.next->group.get() != stays_in) {
    member.next->group->erase(name);
  }
}

}  // namespace snapfs

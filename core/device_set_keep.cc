// SPDX-License-Identifier: MIT
//
// The part of DeviceSet that says what a later mount is to find, for the
// TableKeeper.
#include <system_error>
#include <utility>

#include "core/device_set.h"

namespace snapfs {

void DeviceSet::set_keeper(TableKeeper* keeper) {
  MutexLock load_lock(load_mutex_);
  keeper_ = keeper;
  if (keeper_ != nullptr) keeper_->keep(kept());
}

// Nothing if nobody wants to know.
KeptDevices DeviceSet::kept() {
  KeptDevices result;
  if (keeper_ == nullptr) return result;
  for (const auto& [name, member] : members_) {
    // They come from the table of the device that they name.
    if (member.is_second()) {
      auto merge = members_.find(member.second_name_of);
      if (member.gave_store && merge->second.is_merge())
        result[merge->first].handed_over_from = name;
      continue;
    }
    Device& device = *member.device;
    MutexLock lock(device.mutex_);
    if (!device.handed_over_to_.empty()) {
      result[device.handed_over_to_].handed_over_from = name;
      continue;
    }
    KeptDevice& mine = result[name];
    mine.live = device.live_table_;
    mine.next = device.next_table_;
    if (!member.next) continue;
    mine.source = member.next->source;
    mine.group = *member.next->group;
  }
  // One that has handed over to a device that has been removed meanwhile.
  std::erase_if(result, [](const auto& each) {
    return each.second.live == nullptr && each.second.next == nullptr;
  });
  return result;
}

// What hand_over_what_is_ready() will do when these are suspended, too.
void DeviceSet::expect_handovers(const std::set<std::string>& suspended,
                                 KeptDevices& kept) {
  auto is_suspended = [&](const std::string& name) REQUIRES(load_mutex_) {
    return suspended.contains(name) ||
           member_of(name).device->state() == DeviceState::suspended;
  };
  std::set<std::set<std::string>> ready;
  for (const auto& [name, mine] : kept) {
    if (mine.next == nullptr || mine.source.empty() ||
        mine.next->activate == Activate::manual) {
      continue;
    }
    bool is_ready = true;
    for (const std::string& each : mine.group)
      is_ready = is_ready && is_suspended(kept.at(each).source);
    if (is_ready) ready.insert(mine.group);
  }
  for (const auto& group : ready) expect_handover(group, kept);
}

void DeviceSet::expect_handover(const std::set<std::string>& group,
                                KeptDevices& kept) {
  if (keeper_ == nullptr) return;
  for (const std::string& name : group) {
    KeptDevice& mine = kept.at(name);
    const std::string source = mine.source;
    mine.live = std::move(mine.next);
    mine.next = nullptr;
    mine.source.clear();
    mine.group.clear();
    if (source == name) continue;
    mine.handed_over_from = source;
    kept.erase(source);
  }
}

void DeviceSet::expect_removal(const Member& member, KeptDevices& kept) {
  if (keeper_ == nullptr) return;
  const std::string& name = member.device->name();
  if (member.next) {
    for (const std::string& each : *member.next->group) {
      KeptDevice& other = kept.at(each);
      other.next = nullptr;
      other.source.clear();
      other.group.clear();
      if (other.live == nullptr) kept.erase(each);
    }
  }
  kept.erase(name);
  for (auto& [each, other] : kept)
    if (other.handed_over_from == name) other.handed_over_from.clear();
}

// A table that cannot be forgotten is dropped all the same: its source could
// not be resumed before. The next mount lets it wait again.
void DeviceSet::keep_dropped(const std::string& name) {
  if (keeper_ == nullptr) return;
  try {
    keeper_->keep(kept());
  } catch (const std::system_error& error) {
    throw std::system_error(
        error.code(), "the next table of " + name +
                          " was dropped, but is still saved: " + error.what());
  }
}

}  // namespace snapfs

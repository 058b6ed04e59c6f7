// SPDX-License-Identifier: MIT
//
// The part of DeviceSet that suspends devices, and lets them go on.
#include <cerrno>
#include <exception>

#include "core/device_set.h"
#include "core/error.h"
#include "core/keeping.h"
#include "core/merging_snapshot.h"
#include "core/snapshot.h"

namespace snapfs {

void DeviceSet::suspend(const std::string& name) {
  MutexLock load_lock(load_mutex_);
  Member& member = member_of(name);
  check_merges_may_begin(name);
  KeptDevices after = kept();
  expect_handovers({name}, after);
  // Before anything stands still: a handover that cannot be kept is refused
  // while nothing has happened, and nobody waits for the disk of the tables.
  Keeping keeping(keeper_, events_, kept(), after);
  const bool was_live = member.device->state() == DeviceState::live;
  freeze(member);
  try {
    hand_over_what_is_ready();
  } catch (...) {
    if (was_live && member.device->state() == DeviceState::suspended) {
      thaw_all({&member});
    }
    throw;
  }
  keeping.done(kept());
}

// Nothing to do for what is suspended, or has been handed over.
void DeviceSet::freeze(Member& member) {
  Device& device = *member.device;
  DeviceState state = device.state();
  if (state == DeviceState::suspended || state == DeviceState::handed_over) {
    return;
  }
  if (state != DeviceState::live) {
    throw std::system_error(EINVAL, std::generic_category(),
                            device.name() + " has no live table");
  }
  if (watcher_ != nullptr) watcher_->before_freeze(device);
  if (member.is_merge()) merge_driver_.pause(member.merging->merger());
  pause_revert(member);
  device.admission_.close();
  device.admission_.drain();
  std::shared_ptr<Target> target = device.live();
  bool is_durable = true;
  try {
    if (!target->read_only()) target->flush();
  } catch (const std::exception& error) {
    // What an invalid snapshot has lost it has lost: it can be frozen. Anything
    // else is not frozen before it is durable.
    is_durable = false;
    bool is_lost =
        member.is_snapshot() && member.has_store() &&
        member.snapshot->exceptions().state() == SnapshotState::invalid;
    events_.on_event({EventKind::error, device.name(), error.what()});
    if (!is_lost) {
      device.admission_.open();
      if (member.is_merge()) merge_driver_.resume(member.merging->merger());
      resume_revert(member);
      throw;
    }
  }
  {
    MutexLock lock(device.mutex_);
    device.suspended_ = true;
  }
  if (member.is_merge()) member.merging->show_paused(true);
  if (watcher_ != nullptr && is_durable) watcher_->after_freeze(device);
  events_.on_event({EventKind::freeze, device.name(), "suspended"});
}

// Those of them that were not suspended yet. On an error none of them stays so.
std::vector<DeviceSet::Member*> DeviceSet::freeze_all(
    const std::set<std::string>& names) {
  std::vector<Member*> frozen;
  frozen.reserve(names.size());
  try {
    for (const std::string& name : names) {
      Member& member = member_of(name);
      const bool is_live = member.device->state() == DeviceState::live;
      freeze(member);
      if (is_live) frozen.push_back(&member);
    }
  } catch (...) {
    thaw_all(frozen);
    throw;
  }
  return frozen;
}

void DeviceSet::thaw_all(const std::vector<Member*>& frozen) {
  for (Member* member : frozen) {
    thaw(*member);
    events_.on_event({EventKind::resume, member->device->name(), "resumed"});
  }
}

// REQUIRES: suspended.
void DeviceSet::thaw(Member& member) {
  Device& device = *member.device;
  {
    MutexLock lock(device.mutex_);
    device.suspended_ = false;
  }
  device.admission_.open();
  if (member.is_merge()) {
    member.merging->show_paused(false);
    merge_driver_.resume(member.merging->merger());
  }
  if (member.is_origin()) resume_revert(member);
}

void DeviceSet::resume(const std::string& name) {
  std::optional<Table> loaded;
  {
    MutexLock load_lock(load_mutex_);
    Member& member = member_of(name);
    if (!member.next) return resume_live(member);
    if (!member.next->source.empty()) return resume_destination(member);
    if (!member.next->merge.empty()) {
      throw std::system_error(
          EINVAL, std::generic_category(),
          name + " waits for the end of the merge of " + member.next->merge);
    }
    loaded = member.next->table;
  }
  // It was only checked when it was loaded; now it is taken.
  loaded->was_live = true;
  loaded->waits = false;
  load({*std::move(loaded)});
}

void DeviceSet::resume_live(Member& member) {
  const std::string& name = member.device->name();
  const bool is_suspended = member.device->state() == DeviceState::suspended;
  if (member.kind == Member::Kind::origin) {
    member.family->durable_writes().forgive();
  }
  // A merge that failed goes on; what failed is still to be done.
  if (member.is_merge()) member.merging->merger().forgive();
  if (!is_suspended && member.is_merge()) {
    merge_driver_.resume(member.merging->merger());
  }
  if (!is_suspended) resume_revert(member);
  Member* destination = is_suspended ? waiting_for(name) : nullptr;
  if (destination != nullptr) {
    throw std::system_error(
        EINVAL, std::generic_category(),
        "Unable to resume snapshot source until handover completes: " +
            destination->device->name() + " waits for the store of " + name);
  }
  const bool has_room = !member.is_snapshot() || !member.has_store() ||
                        member.snapshot->exceptions().clear_overflow();
  if (is_suspended) return thaw_all({&member});
  if (!has_room) {
    throw std::system_error(
        ENOSPC, std::generic_category(),
        name + " has overflowed, and its COW device has no room yet");
  }
}

}  // namespace snapfs

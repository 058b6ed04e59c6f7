// SPDX-License-Identifier: MIT
//
// The part of DeviceSet that has to do with merges.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/device_set.h"
#include "core/error.h"
#include "core/merging_snapshot.h"
#include "core/origin.h"
#include "core/reverter.h"

namespace snapfs {
namespace {

const SnapshotTable* as_merge(const Table& table) {
  const auto* snapshot = std::get_if<SnapshotTable>(&table.target);
  return snapshot != nullptr && snapshot->merge ? snapshot : nullptr;
}

const MergeOptions& merge_options(const Table& table) {
  return *std::get<SnapshotTable>(table.target).merge;
}

// What the device is when the merge has ended, if it was no origin before.
Table origin_after(const Table& merge, uint64_t length) {
  const auto& target = std::get<SnapshotTable>(merge.target);
  Table table;
  table.name = merge.name;
  table.place = merge.place;
  table.attributes = merge.attributes;
  OriginTable origin;
  origin.device = target.origin_path;
  origin.length_sectors = length >> kSectorShift;
  origin.device_place = target.origin_place;
  table.target = origin;
  return table;
}

std::string in_chunks(uint64_t count) {
  return std::to_string(count) + (count == 1 ? " chunk" : " chunks");
}

}  // namespace

void DeviceSet::start_merging() { merge_driver_.start(); }

void DeviceSet::stop_merging() { merge_driver_.stop(); }

uint64_t DeviceSet::merge_step(const std::string& name,
                               const BackgroundCopy::StepLimit& limit) {
  std::shared_ptr<BackgroundCopy> copy;
  {
    MutexLock load_lock(load_mutex_);
    Member& member = member_of(name);
    copy = revert_of(member);
    if (member.is_merge()) copy = member.merging->shared_merger();
    if (copy == nullptr) {
      throw std::system_error(EINVAL, std::generic_category(),
                              name + " is not merging");
    }
  }
  uint64_t bytes = 0;
  try {
    bytes = copy->step(limit);
  } catch (const std::exception& error) {
    copy_ended(copy, error.what());
    throw;
  }
  if (bytes == 0) copy_ended(std::move(copy), "");
  return bytes;
}

void DeviceSet::copy_ended(std::shared_ptr<BackgroundCopy> copy,
                           const std::string& failure) {
  if (auto reverter = std::dynamic_pointer_cast<Reverter>(copy)) {
    return revert_ended(reverter, failure);
  }
  merge_ended(std::dynamic_pointer_cast<Merger>(std::move(copy)), failure);
}

void DeviceSet::set_merge_rate(const std::string& name, uint64_t rate) {
  MutexLock load_lock(load_mutex_);
  Member& member = member_of(name);
  if (!member.is_merge()) {
    throw std::system_error(EINVAL, std::generic_category(),
                            name + " is not merging");
  }
  member.merging->show_rate(rate);
  merge_driver_.set_rate(member.merging->merger(), rate);
}

DeviceSet::Member* DeviceSet::merge_by(const Merger& merger) {
  for (auto& [name, member] : members_) {
    if (member.is_merge() && &member.merging->merger() == &merger) {
      return &member;
    }
  }
  return nullptr;
}

DeviceSet::Member* DeviceSet::merge_into(const DeviceId& origin) {
  for (auto& [name, member] : members_) {
    if (member.is_merge() && member.origin == origin) return &member;
  }
  return nullptr;
}

void DeviceSet::check_merge_may_begin(const Table& table) {
  const SnapshotTable* target = as_merge(table);
  if (target == nullptr || target->merge->force) return;
  check_unused(table.name, "the merge would change the content of ",
               "`force: true` merges all the same");
}

// Whoever uses the origin's file, under any name, sees other content from one
// moment to the next.
void DeviceSet::check_unused(const std::string& name, const std::string& what,
                             const std::string& force) {
  for (const std::string& each : all_names_of(name)) {
    auto found = members_.find(each);
    if (found == members_.end()) continue;
    Device& device = *found->second.device;
    if (device.open_count() == 0) continue;
    const std::string users =
        watcher_ == nullptr ? "" : watcher_->users_of(device);
    if (device.open_count() == 0) continue;
    throw std::system_error(
        Errc::busy, what + each + " under its users" +
                        (users.empty() ? "" : " (" + users + ")") + "; " +
                        force);
  }
}

// Those that begin when `source` is suspended.
void DeviceSet::check_merges_may_begin(const std::string& source) {
  Member* waiting = waiting_for(source);
  if (waiting == nullptr) return;
  for (const std::string& name : *waiting->next->group) {
    const Table& table = member_of(name).next->table;
    if (table.activate != Activate::manual) check_merge_may_begin(table);
  }
}

// `merging` has the store of `source`; the device `target`, if it was live, is
// suspended.
void DeviceSet::make_merge_live(Member& source, Member& target,
                                std::shared_ptr<MergingSnapshot> merging) {
  const std::string source_name = source.device->name();
  const std::string target_name = target.device->name();
  target.take_devices_of(source);
  install_merge(target, target.device->next_table(), std::move(merging));
  target.next.reset();
  {
    MutexLock lock(target.device->mutex_);
    target.device->next_table_ = nullptr;
    target.device->next_source_.clear();
  }
  const auto& names = merge_options(*target.device->live_table()).also_as;
  if (std::find(names.begin(), names.end(), source_name) != names.end()) {
    become_second_name(source, target);
    source.gave_store = true;
  } else {
    MutexLock lock(source.device->mutex_);
    source.device->handed_over_to_ = target_name;
  }
  // What has parked on the source goes on on the merging device, or gets EIO.
  thaw(source);
  if (watcher_ != nullptr) watcher_->after_change(*source.device);
  events_.on_event({EventKind::handover, target_name,
                    "took over the store of " + source_name + ": " +
                        target.device->live()->table_line()});
  begin_merge(target);
}

// Makes the member one that merges. REQUIRES: family, origin and COW are set,
// and nothing is inside the device.
void DeviceSet::install_merge(Member& member,
                              std::shared_ptr<const Table> table,
                              std::shared_ptr<MergingSnapshot> merging) {
  Device& device = *member.device;
  member.writes_origin = true;
  {
    MutexLock lock(device.mutex_);
    if (member.kind == Member::Kind::origin) {
      member.table_as_origin = device.live_table_;
    }
    device.live_table_ = std::move(table);
  }
  set_live_of_all_names(member, merging);
  member.kind = Member::Kind::merge;
  member.merging = std::move(merging);
}

// The merge is live: from now on requests and steps of it are carried out. As
// after any handover under its own name, the device is suspended no more.
void DeviceSet::begin_merge(Member& member) {
  Device& device = *member.device;
  const uint64_t rate = merge_options(*device.live_table()).rate;
  const std::shared_ptr<Merger> merger = member.merging->shared_merger();
  member.merging->show_rate(rate);
  add_second_names(member);
  // Caches are dropped when nothing of the file is parked.
  if (device.state() == DeviceState::suspended) thaw(member);
  if (watcher_ != nullptr) watcher_->after_change(device);
  events_.on_event({EventKind::merge, device.name(),
                    "begins: " + in_chunks(merger->progress().total) +
                        " to merge from " + member.cow_path});
  merge_driver_.add(merger, rate);
}

void DeviceSet::merge_ended(std::shared_ptr<Merger> merger,
                            const std::string& failure) {
  std::vector<Table> waiting;
  {
    MutexLock load_lock(load_mutex_);
    Member* member = merge_by(*merger);
    if (member == nullptr) return;  // removed meanwhile
    const std::string name = member->device->name();
    if (!failure.empty()) {
      events_.on_event({EventKind::merge_failed, name,
                        failure + "; nothing is lost, and resume tries again"});
      return;
    }
    const std::string cow_path = member->cow_path;
    merge_driver_.remove(*merger);
    become_origin(*member);
    events_.on_event({EventKind::merge, name,
                      "finished: " + in_chunks(merger->progress().total) +
                          " merged, " + cow_path + " is not in use any more"});
    if (keeper_ != nullptr) keep_after_merge(name);
    waiting = take_waiting_for_merge(name);
  }
  // The last one who holds the COW.
  merger.reset();
  for (Table& table : waiting) {
    const std::string name = table.name;
    try {
      load({std::move(table)});
    } catch (const std::exception& error) {
      events_.on_event({EventKind::error, name, error.what()});
    }
  }
}

// A merge that has nothing left to do is harmless to a later mount.
void DeviceSet::keep_after_merge(const std::string& name) {
  try {
    keeper_->keep(kept());
  } catch (const std::exception& error) {
    events_.on_event({EventKind::error, name,
                      std::string("the merge has ended, but is still saved: ") +
                          error.what()});
  }
}

// Both show the same content, so that nobody notices.
void DeviceSet::become_origin(Member& member) {
  Device& device = *member.device;
  const std::shared_ptr<MergingSnapshot> merging = member.merging;
  const auto target = std::make_shared<Origin>(
      member.family, merging->origin(),
      Origin::Options{merging->size(), false, member.origin_table_name});
  std::shared_ptr<const Table> table = member.table_as_origin;
  if (table == nullptr) {
    table = std::make_shared<const Table>(
        origin_after(*device.live_table(), merging->size()));
  }
  std::vector<Device*> devices{&device};
  for (Member* second : second_names_of(device.name())) {
    devices.push_back(second->device.get());
    second->gave_store = false;
  }
  for (Device* each : devices) each->admission_.close();
  for (Device* each : devices) each->admission_.drain();
  flush(device);
  {
    MutexLock lock(device.mutex_);
    device.live_table_ = table;
  }
  set_live_of_all_names(member, target);
  for (Device* each : devices) each->admission_.open();
  member.kind = Member::Kind::origin;
  member.merging = nullptr;
  member.table_as_origin = nullptr;
  member.cow = {};
  member.cow_path.clear();
}

// Takes the tables that wait for this merge, so that they can be loaded.
std::vector<Table> DeviceSet::take_waiting_for_merge(const std::string& name) {
  std::vector<Table> tables;
  for (auto& [each, member] : members_) {
    if (member.next && member.next->merge == name) {
      tables.push_back(member.next->table);
      member.next->merge.clear();
      MutexLock lock(member.device->mutex_);
      member.device->next_source_.clear();
    }
  }
  return tables;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// The part of TableLoad that makes targets of what is prepared and lets them go
// live, all at one point in time.
#include <algorithm>
#include <exception>

#include "core/merging_snapshot.h"
#include "core/origin.h"
#include "core/reverter.h"
#include "core/salvaged_snapshot.h"
#include "core/table_kind.h"
#include "core/table_load.h"

namespace snapfs {

std::shared_ptr<Target> TableLoad::make_target(Item& item) {
  if (is_origin(item.table)) {
    return std::make_shared<Origin>(
        item.family, item.origin.device,
        Origin::Options{item.length, as_origin(item.table).read_only,
                        item.origin_table_name});
  }
  if (is_salvage(item.table)) return make_salvage(item);
  const SnapshotTable& table = as_snapshot(item.table);
  const ChunkSize chunk_size = item.store->chunk_size();
  auto exceptions = std::make_unique<CowExceptions>(
      item.cow.device, std::move(item.store), std::move(item.exceptions),
      item.is_invalid,
      CowExceptions::Owner{item.table.name, table.store, table.commit_interval,
                           table.space},
      set_.timer_, set_.events_);
  if (table.merge) {
    auto merging = std::make_shared<MergingSnapshot>(
        item.family, item.origin.device, chunk_size,
        MergingSnapshot::Options{item.length, item.origin_table_name,
                                 item.cow.table_name});
    merging->merger().take(std::move(exceptions));
    return merging;
  }
  return std::make_shared<Snapshot>(
      item.family, std::move(exceptions),
      Snapshot::Options{item.length, table.read_only, table.discard_zeroes_cow,
                        item.origin.device, table.store, item.origin_table_name,
                        item.cow.table_name});
}

void TableLoad::go_live() {
  // All that can fail for want of memory comes first.
  Ready ready;
  std::vector<std::shared_ptr<Target>> replacements;
  for (Item& item : items_) {
    if (item.fate == Item::Fate::live) make_ready(item, ready);
    const bool replaces =
        item.fate == Item::Fate::replaces || item.fate == Item::Fate::merges;
    replacements.push_back(replaces ? make_target(item) : nullptr);
  }

  std::vector<CowExceptions*> stores;
  for (const auto& [name, member] : ready.members) {
    if (member.snapshot != nullptr)
      stores.push_back(&member.snapshot->exceptions());
  }

  // Every origin stands still before the first snapshot is taken.
  const std::vector<Family*> families = families_of_snapshots();
  for (Family* family : families) family->gate().close();
  for (Family* family : families) family->gate().drain();
  std::exception_ptr failure;
  try {
    flush_written_origins();
    join_families(ready);
    begin_reverts(ready);
    is_live_ = true;
  } catch (...) {
    failure = std::current_exception();
  }
  for (Family* family : families) family->gate().open();
  if (failure) std::rethrow_exception(failure);

  for (const auto& [name, member] : ready.members) {
    if (member.snapshot != nullptr || member.is_merge()) {
      set_.removed_.erase(member.cow);
    }
  }
  for (auto& [name, member] : ready.members) become_live(name, member);
  set_.members_.merge(ready.members);
  {
    MutexLock lock(set_.mutex_);
    set_.devices_.merge(ready.devices);
  }
  for (const Event& event : ready.events) set_.events_.on_event(event);
  for (CowExceptions* store : stores) {
    if (store->state() != SnapshotState::invalid) store->space().note_usage();
  }
  for (std::size_t i = 0; i < items_.size(); ++i) {
    finish_going_live(items_[i], replacements[i]);
  }
}

// What needs the other devices to be there.
void TableLoad::finish_going_live(Item& item,
                                  const std::shared_ptr<Target>& replacement) {
  switch (item.fate) {
    case Item::Fate::live:
      if (is_merge(item.table)) {
        set_.begin_merge(set_.members_.at(item.table.name));
      }
      if (item.revert_into != nullptr) {
        auto reverter = item.family->reverter();
        set_.announce_revert(*set_.origin_by(*reverter), reverter, 0);
      }
      return;
    case Item::Fate::replaces:
      return replace_origin(item, replacement);
    case Item::Fate::merges:
      return replace_by_merge(item, replacement);
    case Item::Fate::adjusts:
      return adjust_merge(item);
    case Item::Fate::waits:
    case Item::Fate::loaded:
      return;
  }
}

// The origin's device is suspended.
void TableLoad::replace_by_merge(Item& item,
                                 const std::shared_ptr<Target>& target) {
  DeviceSet::Member& member = set_.members_.at(item.table.name);
  set_.removed_.erase(item.cow.storage);
  member.cow = item.cow.storage;
  member.cow_path = as_snapshot(item.table).cow.path;
  member.cow_table_name = item.cow.table_name;
  member.cow_is_writable = true;
  set_.install_merge(member, std::make_shared<const Table>(item.table),
                     std::dynamic_pointer_cast<MergingSnapshot>(target));
  set_.events_.on_event({EventKind::load, item.table.name,
                         "replaced by " + target->table_line()});
  set_.begin_merge(member);
}

// Nothing about the merge itself: its speed, and how its file looks.
void TableLoad::adjust_merge(const Item& item) {
  DeviceSet::Member& member = set_.members_.at(item.table.name);
  const uint64_t rate = as_snapshot(item.table).merge->rate;
  member.merging->show_rate(rate);
  set_.merge_driver_.set_rate(member.merging->merger(), rate);
  {
    MutexLock lock(member.device->mutex_);
    member.device->live_table_ = std::make_shared<const Table>(item.table);
  }
  set_.events_.on_event({EventKind::load, item.table.name,
                         "replaced by " + member.merging->table_line()});
}

// A device that was loaded already, and waited to be resumed, stays the same.
void TableLoad::become_live(const std::string& name,
                            DeviceSet::Member& member) {
  auto found = set_.members_.find(name);
  if (found == set_.members_.end()) return;
  std::shared_ptr<Target> target = member.device->live();
  std::shared_ptr<const Table> table = member.device->live_table();
  member.device = found->second.device;
  set_.leave_group(name, found->second, nullptr);
  {
    MutexLock lock(member.device->mutex_);
    member.device->live_ = std::move(target);
    member.device->live_table_ = std::move(table);
    member.device->next_table_ = nullptr;
    member.device->next_source_.clear();
  }
  found->second = std::move(member);
}

// All snapshots or none.
void TableLoad::join_families(const Ready& ready) {
  auto watches = [](const DeviceSet::Member& member) {
    return member.is_salvage() && member.salvaged->written() != nullptr;
  };
  try {
    for (const auto& [name, member] : ready.members) {
      if (member.snapshot != nullptr) member.family->add(*member.snapshot);
      if (watches(member)) member.family->watch(member.salvaged->written());
    }
  } catch (...) {
    for (const auto& [name, member] : ready.members) {
      if (member.snapshot != nullptr) member.family->remove(*member.snapshot);
      if (watches(member)) member.family->unwatch(member.salvaged->written());
    }
    throw;
  }
}

// The file goes on; requests that are inside are carried out by the old
// target.
void TableLoad::replace_origin(Item& item,
                               const std::shared_ptr<Target>& target) {
  DeviceSet::Member& member = set_.members_.at(item.table.name);
  Device& device = *member.device;
  std::vector<Device*> devices;
  for (const std::string& name : set_.all_names_of(device.name())) {
    devices.push_back(set_.member_of(name).device.get());
  }
  for (Device* each : devices) each->admission_.close();
  for (Device* each : devices) each->admission_.drain();
  set_.flush(device);
  member.writes_origin = !as_origin(item.table).read_only;
  {
    MutexLock lock(device.mutex_);
    device.live_table_ = std::make_shared<const Table>(item.table);
  }
  set_.set_live_of_all_names(member, target);
  for (Device* each : devices) each->admission_.open();
  if (set_.watcher_ != nullptr) {
    for (Device* each : devices) set_.watcher_->after_change(*each);
  }
  set_.events_.on_event(
      {EventKind::load, device.name(), "replaced by " + target->table_line()});
}

std::vector<Family*> TableLoad::families_of_snapshots() const {
  std::vector<Family*> families;
  for (const Item& item : items_) {
    if (is_origin(item.table) || item.fate != Item::Fate::live) continue;
    Family* family = item.family.get();
    if (std::find(families.begin(), families.end(), family) == families.end()) {
      families.push_back(family);
    }
  }
  return families;
}

void TableLoad::flush_written_origins() {
  for (const Item& item : items_) {
    if (is_origin(item.table) || item.fate != Item::Fate::live) continue;
    std::optional<Base> base = base_of_storage(item.origin_storage);
    if (!base || !base->is_writable) continue;
    try {
      item.family->durable_writes().flush_for_engine(item.family->origin());
    } catch (const std::exception& error) {
      fail_writing(item, error.what());
    }
  }
}

void TableLoad::make_ready(Item& item, Ready& ready) {
  const std::string& name = item.table.name;
  std::shared_ptr<Target> target = make_target(item);
  auto device = std::make_shared<Device>(name);
  {
    MutexLock lock(device->mutex_);
    device->live_ = target;
    device->live_table_ = std::make_shared<const Table>(item.table);
  }
  DeviceSet::Member member;
  member.device = device;
  using Kind = DeviceSet::Member::Kind;
  member.kind = is_origin(item.table)    ? Kind::origin
                : is_merge(item.table)   ? Kind::merge
                : is_salvage(item.table) ? Kind::salvage
                                         : Kind::snapshot;
  member.family = item.family;
  member.origin = item.origin_storage;
  member.origin_table_name = item.origin_table_name;
  member.writes_origin = writes_origin(item.table);
  if (!is_origin(item.table)) {
    member.snapshot = dynamic_cast<Snapshot*>(target.get());
    member.merging = std::dynamic_pointer_cast<MergingSnapshot>(target);
    member.salvaged = std::dynamic_pointer_cast<SalvagedSnapshot>(target);
    member.cow = item.cow.storage;
    member.cow_path = as_snapshot(item.table).cow.path;
    member.cow_table_name = item.cow.table_name;
    member.cow_is_writable = item.cow_is_writable;
  }
  if (item.revert_into != nullptr) {
    ready.reverters.emplace_back(
        item.family.get(),
        std::make_shared<Reverter>(*item.family, member.snapshot->exceptions(),
                                   item.revert_into));
  }
  ready.members.emplace(name, std::move(member));
  ready.devices.emplace(name, device);
  std::string text = target->table_line();
  if (!item.remark.empty()) text += " (" + item.remark + ")";
  ready.events.push_back({EventKind::load, name, text});
}

}  // namespace snapfs

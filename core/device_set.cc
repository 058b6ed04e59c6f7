// SPDX-License-Identifier: MIT
#include "core/device_set.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/error.h"
#include "core/handover.h"
#include "core/keeping.h"
#include "core/merging_snapshot.h"
#include "core/salvaged_snapshot.h"
#include "core/snapshot.h"
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

// The device whose next table waits for the store of `source`; null: none.
DeviceSet::Member* DeviceSet::waiting_for(const std::string& source) {
  for (auto& [name, member] : members_) {
    if (member.next && member.next->source == source) return &member;
  }
  return nullptr;
}

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

void DeviceSet::resume_destination(Member& member) {
  std::set<std::string> group = *member.next->group;
  for (const std::string& name : group) {
    Member& source = member_of(member_of(name).next->source);
    if (&source != &member &&
        source.device->state() != DeviceState::suspended) {
      throw std::system_error(
          EINVAL, std::generic_category(),
          "Unable to perform snapshot handover until source is suspended: " +
              source.device->name() + " is not");
    }
  }
  for (const std::string& name : group) {
    check_merge_may_begin(member_of(name).next->table);
  }
  KeptDevices after = kept();
  expect_handover(group, after);
  Keeping keeping(keeper_, events_, kept(), after);
  // Under its own name a device is suspended on the way, as dm does it.
  if (member.is_snapshot() && member.has_store()) freeze(member);
  hand_over_group(group);
  keeping.done(kept());
}

void DeviceSet::hand_over_what_is_ready() {
  std::set<std::set<std::string>> ready;
  for (const auto& [name, member] : members_) {
    if (member.next && !member.next->source.empty() &&
        member.next->table.activate != Activate::manual &&
        is_ready(*member.next->group)) {
      ready.insert(*member.next->group);
    }
  }
  for (const auto& group : ready) hand_over_group(group);
}

bool DeviceSet::is_ready(const std::set<std::string>& group) {
  for (const std::string& name : group) {
    Member& source = member_of(member_of(name).next->source);
    if (source.device->state() != DeviceState::suspended) return false;
  }
  return true;
}

// What becomes of one table of a group.
struct DeviceSet::Step {
  Member* source;
  Member* target;
  CowExceptions::Owner owner;
  // One of them.
  std::shared_ptr<Snapshot> snapshot;
  std::shared_ptr<MergingSnapshot> merging;
};

DeviceSet::Step DeviceSet::make_step(Member& target) {
  const Next& next = *target.next;
  const auto& table = std::get<SnapshotTable>(next.table.target);
  Member& source = member_of(next.source);
  Step step{&source, &target, {}, nullptr, nullptr};
  step.owner = {target.device->name(), table.store, table.commit_interval,
                table.space};
  if (table.merge) {
    step.merging = std::make_shared<MergingSnapshot>(
        source.family, next.passdown.device,
        source.snapshot->exceptions().chunk_size(),
        MergingSnapshot::Options{next.length, source.origin_table_name,
                                 source.cow_table_name});
  } else {
    step.snapshot = std::make_shared<Snapshot>(
        source.family, nullptr,
        Snapshot::Options{next.length, table.read_only,
                          table.discard_zeroes_cow, next.passdown.device,
                          table.store, source.origin_table_name,
                          source.cow_table_name});
  }
  return step;
}

// One instant for all of them: no request is inside a source (each is
// suspended), and none inside an origin while its members change.
void DeviceSet::hand_over_group(const std::set<std::string>& group) {
  std::vector<Step> steps;
  std::set<Family*> families;
  std::set<std::string> origins;  // whose content is another one then
  for (const std::string& name : group) {
    steps.push_back(make_step(member_of(name)));
    families.insert(steps.back().source->family.get());
    if (steps.back().merging != nullptr && member_of(name).is_origin()) {
      origins.merge(all_names_of(name));
    }
  }
  for (const Step& step : steps) {
    // It may have become so by the very flush that was to make it durable.
    if (step.merging != nullptr &&
        step.source->snapshot->exceptions().state() == SnapshotState::invalid) {
      throw std::system_error(Errc::snapshot_invalid,
                              "Snapshot is invalid: can't merge");
    }
  }
  const std::vector<Member*> frozen = freeze_all(origins);
  for (Family* family : families) family->gate().close();
  for (Family* family : families) family->gate().drain();
  try {
    for (const Step& step : steps) {
      if (step.merging != nullptr) continue;
      step.source->snapshot->prepare_length(step.target->next->length);
    }
  } catch (...) {
    for (Family* family : families) family->gate().open();
    thaw_all(frozen);
    throw;
  }
  for (Step& step : steps) {
    Snapshot& source = *step.source->snapshot;
    Family& family = *step.source->family;
    if (step.merging != nullptr) {
      step.merging->merger().take(give_up_store(source, std::move(step.owner)));
      family.remove(source);
    } else {
      hand_over(source, *step.snapshot, std::move(step.owner));
      family.replace(source, *step.snapshot);
    }
  }
  for (Family* family : families) family->gate().open();
  for (Step& step : steps) {
    if (step.merging != nullptr) {
      make_merge_live(*step.source, *step.target, std::move(step.merging));
    } else {
      make_live(*step.source, *step.target, std::move(step.snapshot));
    }
  }
  thaw_second_names(frozen);
}

// `target` has its store; `source`, unless it is the same device, has none.
void DeviceSet::make_live(Member& source, Member& target,
                          std::shared_ptr<Snapshot> snapshot) {
  const std::string source_name = source.device->name();
  const std::string target_name = target.device->name();
  const bool same_name = &source == &target;
  if (!same_name) {
    target.kind = source.kind;
    target.family = source.family;
    target.origin = source.origin;
    target.origin_table_name = source.origin_table_name;
    target.cow = source.cow;
    target.cow_path = source.cow_path;
    target.cow_table_name = source.cow_table_name;
    target.cow_is_writable = source.cow_is_writable;
    MutexLock lock(source.device->mutex_);
    source.device->handed_over_to_ = target_name;
  }
  target.snapshot = snapshot.get();
  target.writes_origin = target.next->passdown.device != nullptr;
  {
    MutexLock lock(target.device->mutex_);
    target.device->live_ = snapshot;
    target.device->live_table_ = target.device->next_table_;
    target.device->next_table_ = nullptr;
    target.device->next_source_.clear();
  }
  target.next.reset();
  // What has parked on the source goes on under the new table, or gets EIO.
  thaw(source);
  if (watcher_ != nullptr) watcher_->after_change(*source.device);
  events_.on_event({EventKind::handover, target_name,
                    same_name ? "took its store over under a new table: " +
                                    snapshot->table_line()
                              : "took over the store of " + source_name + ": " +
                                    snapshot->table_line()});
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

void DeviceSet::check_unwanted(const std::string& name) {
  MutexLock load_lock(load_mutex_);
  check_unwanted(member_of(name));
}

void DeviceSet::check_unwanted(Member& member) {
  check_not_reverting(member);
  const std::string& name = member.device->name();
  Member* destination = waiting_for(name);
  if (destination == nullptr || destination == &member) return;
  throw std::system_error(Errc::busy, destination->device->name() +
                                          " waits for the store of " + name +
                                          "; suspend " + name + ", or clear " +
                                          destination->device->name());
}

void DeviceSet::remove(const std::string& name) {
  MutexLock load_lock(load_mutex_);
  Member& member = member_of(name);
  Device& device = *member.device;
  check_unwanted(member);
  if (!second_names_of(name).empty()) {
    throw std::system_error(Errc::busy,
                            name + " has a second name, " +
                                second_names_of(name).front()->device->name() +
                                ", which has to be removed first");
  }
  if (member.kind == Member::Kind::none) {
    cancel_next(member);
    return keep_dropped(name);
  }
  auto check_closed = [&]() REQUIRES(device.mutex_) {
    if (device.open_count_ != 0 && device.handed_over_to_.empty()) {
      throw std::system_error(Errc::busy, name + " is open");
    }
  };
  {
    MutexLock device_lock(device.mutex_);
    check_closed();
  }
  KeptDevices after = kept();
  expect_removal(member, after);
  Keeping keeping(keeper_, events_, kept(), after, Keeping::Old::goes);
  {
    MutexLock device_lock(device.mutex_);
    check_closed();
    device.removed_ = true;
  }
  keeping.done(after);
  if (member.next) cancel_next(member);
  // What waited for its end waits for resume now.
  if (member.is_merge()) take_waiting_for_merge(name);
  {
    MutexLock lock(mutex_);
    devices_.erase(name);
  }
  Member removed = std::move(member);
  members_.erase(name);
  flush(*removed.device);
  take_down(std::move(removed));
  events_.on_event({EventKind::remove, name, "removed"});
}

// Takes a device's target away, so that it answers EIO, and its snapshot out of
// the family.
void DeviceSet::take_down(Member member) {
  Device& device = *member.device;
  bool is_handed_over = false;
  bool was_suspended = false;
  {
    MutexLock lock(device.mutex_);
    is_handed_over = !device.handed_over_to_.empty();
    was_suspended = std::exchange(device.suspended_, false);
  }
  if (member.is_merge()) merge_driver_.remove(member.merging->merger());
  device.admission_.close();
  device.admission_.drain();
  // What came between the flush and here.
  flush(device);
  if (member.is_snapshot() && !is_handed_over) {
    Admission& gate = member.family->gate();
    gate.close();
    gate.drain();
    member.family->remove(*member.snapshot);
    if (revert_of(member) != nullptr) member.family->set_reverter(nullptr);
    removed_[member.cow] = {member.origin, write_count(member.origin)->load()};
    if (member.snapshot->exceptions().is_unrecorded_invalid()) {
      untrusted_.insert(member.cow);
    }
    gate.open();
  }
  if (member.is_merge()) {
    removed_[member.cow] = {member.origin, write_count(member.origin)->load()};
  }
  if (member.is_salvage()) {
    Admission& gate = member.family->gate();
    gate.close();
    gate.drain();
    member.family->unwatch(member.salvaged->written());
    gate.open();
  }
  {
    MutexLock lock(device.mutex_);
    device.removed_ = true;
    device.live_ = nullptr;
  }
  device.admission_.open();
  // What has parked on a suspended device gets its answer, too.
  if (was_suspended) device.admission_.open();
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

void DeviceSet::wake_waiting() {
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

// ---- What a later mount is to find

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

DeviceSet::WriteCount DeviceSet::write_count(const DeviceId& origin) {
  WriteCount& count = write_counts_[origin];
  if (count == nullptr) count = std::make_shared<std::atomic<uint64_t>>(0);
  return count;
}

}  // namespace snapfs

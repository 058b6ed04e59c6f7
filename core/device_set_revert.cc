// SPDX-License-Identifier: MIT
//
// The part of DeviceSet that has to do with reverts: an origin gets back what
// one of its snapshots shows, which stays.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/device_set.h"
#include "core/error.h"
#include "core/reverter.h"
#include "core/snapshot.h"

namespace snapfs {
namespace {

[[noreturn]] void refuse(int error, const std::string& why) {
  throw std::system_error(error, std::generic_category(), why);
}

std::string in_chunks(uint64_t count) {
  return std::to_string(count) + (count == 1 ? " chunk" : " chunks");
}

}  // namespace

void DeviceSet::revert(const std::string& name, const RevertOptions& options) {
  MutexLock load_lock(load_mutex_);
  Member& snapshot = member_of(name);
  check_revertible(snapshot);
  Member& origin = origin_to_revert(snapshot);
  check_no_other_copy(origin);
  if (!options.force) {
    check_unused(origin.device->name(),
                 "the revert would change the content of ",
                 "`--force` reverts all the same");
  }
  std::set<std::string> names = all_names_of(origin.device->name());
  names.insert(name);
  const std::shared_ptr<BlockDevice> device =
      opener_
          .open_origin(origin.family->origin().name(), true,
                       snapshot.device->live_table()->place)
          .device;
  const std::vector<Member*> frozen = freeze_all(names);
  std::shared_ptr<Reverter> reverter;
  try {
    reverter = begin_revert(snapshot, device);
  } catch (...) {
    thaw_all(frozen);
    throw;
  }
  thaw_all(frozen);
  announce_revert(origin, reverter, options.rate);
}

// Nothing changes for anybody until the intent is durable.
std::shared_ptr<Reverter> DeviceSet::begin_revert(
    Member& snapshot, std::shared_ptr<BlockDevice> origin) {
  Family& family = *snapshot.family;
  CowExceptions& exceptions = snapshot.snapshot->exceptions();
  family.gate().close();
  family.gate().drain();
  std::shared_ptr<Reverter> reverter;
  try {
    exceptions.begin_revert(
        std::min(snapshot.snapshot->size(), exceptions.origin_size()));
    reverter =
        std::make_shared<Reverter>(family, exceptions, std::move(origin));
    family.set_reverter(reverter);
  } catch (...) {
    family.gate().open();
    throw;
  }
  family.gate().open();
  return reverter;
}

// It is live: from now on its steps are carried out.
void DeviceSet::announce_revert(Member& origin,
                                const std::shared_ptr<Reverter>& reverter,
                                uint64_t rate) {
  const std::string& name = origin.device->name();
  reverter->show_rate(rate);
  // Caches are dropped when nothing of the file is parked.
  if (watcher_ != nullptr) {
    for (const std::string& each : all_names_of(name)) {
      watcher_->after_change(*member_of(each).device);
    }
  }
  const Reverter::Progress progress = reverter->progress();
  events_.on_event({EventKind::revert, name,
                    "begins: " + in_chunks(progress.total - progress.reverted) +
                        " to revert to " + reverter->snapshot_name()});
  const bool is_paused = origin.device->state() == DeviceState::suspended;
  reverter->show_paused(is_paused);
  merge_driver_.add(reverter, rate, is_paused);
}

void DeviceSet::check_revertible(Member& snapshot) {
  const std::string& name = snapshot.device->name();
  if (!snapshot.is_snapshot() || !snapshot.has_store()) {
    refuse(EINVAL, name + " is no live snapshot");
  }
  const CowExceptions& exceptions = snapshot.snapshot->exceptions();
  if (!exceptions.is_revertible()) {
    refuse(EINVAL, exceptions.state() == SnapshotState::invalid
                       ? "Snapshot is invalid: can't revert to " + name
                       : name +
                             " is transient, and a revert has to survive a "
                             "crash");
  }
  switch (exceptions.state()) {
    case SnapshotState::invalid:
      refuse(EIO, "Snapshot is invalid: can't revert to " + name);
    case SnapshotState::overflowed:
      refuse(ENOSPC, name +
                         " has overflowed; extend its COW device, and resume "
                         "it first");
    case SnapshotState::active:
      break;
  }
  if (!snapshot.cow_is_writable) {
    refuse(EROFS, "the COW device of " + name + " is open read-only");
  }
}

DeviceSet::Member& DeviceSet::origin_to_revert(const Member& snapshot) {
  for (auto& [name, member] : members_) {
    if (!member.is_origin() || member.origin != snapshot.origin) continue;
    if (!member.is_merge() && member.device->live()->read_only()) {
      refuse(EROFS, "the origin " + name + " is read-only");
    }
    return member;
  }
  refuse(ENODEV, snapshot.device->name() + ": its origin, " +
                     snapshot.origin_table_name +
                     ", is no device of this mount");
}

// Merges and reverts of one origin exclude each other.
void DeviceSet::check_no_other_copy(const Member& origin) {
  if (origin.is_merge()) {
    refuse(EBUSY, "a snapshot is being merged into " + origin.device->name() +
                      ", from COW device " + origin.cow_path);
  }
  if (const auto reverter = origin.family->reverter()) {
    refuse(EBUSY, origin.device->name() + " is being reverted already, to " +
                      reverter->snapshot_name());
  }
  for (const auto& [name, member] : members_) {
    if (!member.next) continue;
    const auto* table = std::get_if<SnapshotTable>(&member.next->table.target);
    if (table == nullptr || !table->merge) continue;
    if (name == origin.device->name()) {
      refuse(EBUSY, name + " waits to merge; clear it first");
    }
  }
}

std::shared_ptr<Reverter> DeviceSet::revert_of(const Member& member) {
  if (member.family == nullptr) return nullptr;
  const std::shared_ptr<Reverter> reverter = member.family->reverter();
  if (reverter == nullptr) return nullptr;
  const bool is_its_snapshot =
      member.is_snapshot() && member.has_store() &&
      &member.snapshot->exceptions() == &reverter->exceptions();
  return member.is_origin() || is_its_snapshot ? reverter : nullptr;
}

void DeviceSet::pause_revert(const Member& origin) {
  if (!origin.is_origin()) return;
  const std::shared_ptr<Reverter> reverter = revert_of(origin);
  if (reverter == nullptr) return;
  merge_driver_.pause(*reverter);
  reverter->show_paused(true);
}

void DeviceSet::resume_revert(const Member& member) {
  const std::shared_ptr<Reverter> reverter = revert_of(member);
  if (reverter == nullptr) return;
  // It is the origin that stands still while it is suspended.
  Member* origin = origin_by(*reverter);
  if (origin->device->state() == DeviceState::suspended) return;
  reverter->show_paused(false);
  merge_driver_.resume(*reverter);
}

void DeviceSet::set_revert_rate(const std::string& name, uint64_t rate) {
  MutexLock load_lock(load_mutex_);
  const std::shared_ptr<Reverter> reverter = revert_of(member_of(name));
  if (reverter == nullptr) refuse(EINVAL, name + " is not being reverted");
  reverter->show_rate(rate);
  merge_driver_.set_rate(*reverter, rate);
}

void DeviceSet::check_not_reverting(const Member& member) {
  const std::shared_ptr<Reverter> reverter = revert_of(member);
  if (reverter == nullptr) return;
  throw std::system_error(Errc::busy,
                          member.device->name() +
                              " cannot be removed before the revert to " +
                              reverter->snapshot_name() + " has ended");
}

DeviceSet::Member* DeviceSet::origin_by(const Reverter& reverter) {
  for (auto& [name, member] : members_) {
    if (member.is_origin() && member.family->reverter().get() == &reverter) {
      return &member;
    }
  }
  return nullptr;
}

void DeviceSet::revert_ended(const std::shared_ptr<Reverter>& reverter,
                             const std::string& failure) {
  MutexLock load_lock(load_mutex_);
  Member* origin = origin_by(*reverter);
  if (origin == nullptr) return;
  const std::string name = origin->device->name();
  if (!failure.empty()) {
    events_.on_event({EventKind::revert_failed, name,
                      failure + "; nothing is lost, and resume tries again"});
    return;
  }
  merge_driver_.remove(*reverter);
  origin->family->set_reverter(nullptr);
  events_.on_event({EventKind::revert, name,
                    "finished: " + in_chunks(reverter->progress().total) +
                        " reverted to " + reverter->snapshot_name()});
}

}  // namespace snapfs

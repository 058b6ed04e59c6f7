// SPDX-License-Identifier: MIT
//
// The part of TableLoad that prepares merges, and says what cannot be while one
// is under way.
#include <algorithm>
#include <cerrno>

#include "core/error.h"
#include "core/merging_snapshot.h"
#include "core/table_kind.h"
#include "core/table_load.h"

namespace snapfs {
namespace {

[[noreturn]] void refuse_transient(const Place& place) {
  throw TableError(place,
                   "Snapshot exception store does not support snapshot-merge: "
                   "it is transient",
                   EINVAL);
}

}  // namespace

void TableLoad::prepare_merge(Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  check_merge_options(item);
  set_base(item);
  // After a merge of that name, and at a later mount, only the device tells.
  if (table.origin == item.table.name) {
    std::get<SnapshotTable>(item.table.target).origin_path =
        item.family->origin().name();
  }
  check_merge_origin(item);
  const std::string source = find_source(item);
  auto live = set_.members_.find(item.table.name);
  const bool is_live = live != set_.members_.end() && live->second.is_origin();
  if (is_live && live->second.is_merge() && source == item.table.name) {
    return prepare_adjustment(item, live->second);
  }
  check_second_names(item, source);
  // What the device is now, it stays: the length, too.
  if (is_live && !table.length_sectors) {
    item.length = live->second.device->live()->size();
  }
  if (!source.empty()) {
    return prepare_merge_of_live(item, set_.members_.at(source));
  }
  const bool is_manual =
      item.table.activate == Activate::manual && !item.table.was_live;
  if (is_manual || item.table.waits) {
    item.fate = Item::Fate::loaded;
  } else if (is_live) {
    item.fate = Item::Fate::merges;
    check_origin_is_unused(item);
  }
  item.cow_is_writable = true;
  item.cow = set_.opener_.open_cow(table.cow, true, table.cow_place);
  check_cow(item);
  check_stale(item);
  prepare_store(item);
  if (item.is_invalid) {
    throw TableError(table.cow_place, "Snapshot is invalid: can't merge", EIO);
  }
  if (item.new_store) {
    throw TableError(table.cow_place,
                     table.cow.path +
                         " holds no store: there is nothing to "
                         "merge",
                     EINVAL);
  }
  if (item.store->revert_marks() != nullptr) {
    throw TableError(table.cow_place,
                     "a revert to the snapshot on COW device " +
                         table.cow.path +
                         " is under way; load it as a snapshot, which finishes "
                         "that",
                     EBUSY);
  }
}

void TableLoad::check_merge_options(const Item& item) const {
  const SnapshotTable& table = as_snapshot(item.table);
  if (table.store == StoreType::transient) refuse_transient(item.table.place);
  if (table.read_only) {
    throw TableError(item.table.place,
                     "a merge writes to its origin; leave read_only out",
                     EROFS);
  }
}

// The merge takes the origin's name, and is the only one.
void TableLoad::check_merge_origin(const Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  const std::string& own = item.table.name;
  auto refuse = [&](const std::string& why) {
    throw TableError(table.origin_place, why, EBUSY);
  };
  auto refuse_second = [&](const std::string& other) {
    refuse("A snapshot is already merging: " + other);
  };
  for (const auto& [name, member] : set_.members_) {
    if (member.next && name != own && is_merge(member.next->table) &&
        member.family == nullptr &&
        as_snapshot(member.next->table).origin_path == table.origin_path) {
      refuse_second(name + " waits to merge into " + table.origin);
    }
    if (member.origin != item.origin_storage || !member.is_origin()) continue;
    if (member.is_merge() &&
        (name != own || set_.opener_.storage_of(
                            table.cow.path, table.cow_place) != member.cow)) {
      refuse_second(name + ", from COW device " + member.cow_path);
    }
    if (name != own) {
      refuse("the origin is live as " + name +
             ", and a merge takes its origin's name");
    }
    if (member.device->live()->read_only()) {
      throw TableError(table.origin_place,
                       "the origin " + name + " is read-only", EROFS);
    }
  }
  for (const Item& other : items_) {
    if (&other == &item) break;
    if (other.origin_storage != item.origin_storage) continue;
    if (is_merge(other.table)) refuse_second(other.table.name);
    refuse("the origin is loaded as " + other.table.name +
           " with it, and a merge takes its origin's place");
  }
}

// Each is the snapshot whose store is taken over, or a new one.
void TableLoad::check_second_names(const Item& item,
                                   const std::string& source) {
  const MergeOptions& options = *as_snapshot(item.table).merge;
  for (const std::string& name : options.also_as) {
    const bool is_loaded = std::any_of(
        items_.begin(), items_.end(),
        [&](const Item& other) { return other.table.name == name; });
    if (name == source && !is_loaded) continue;
    auto found = set_.members_.find(name);
    if (found != set_.members_.end() && !is_loaded &&
        found->second.second_name_of == item.table.name) {
      continue;
    }
    if (is_loaded || set_.members_.contains(name)) {
      throw TableError(options.also_as_place,
                       "the name " + name +
                           " is taken, and not by the snapshot that is merged",
                       EBUSY);
    }
  }
}

void TableLoad::prepare_merge_of_live(Item& item,
                                      const DeviceSet::Member& source) {
  const SnapshotTable& table = as_snapshot(item.table);
  refuse_store_that_merges(item, source);
  if (source.snapshot->exceptions().type() == StoreType::transient) {
    refuse_transient(table.cow_place);
  }
  prepare_handover(item, source);
  CowExceptions& exceptions = source.snapshot->exceptions();
  if (exceptions.state() == SnapshotState::invalid) {
    throw TableError(table.cow_place, "Snapshot is invalid: can't merge", EIO);
  }
  if (item.length < source.snapshot->size()) {
    throw TableError(
        item.table.place,
        "the length is less than that of the snapshot, " +
            std::to_string(source.snapshot->size() >> kSectorShift) +
            " sectors",
        EINVAL);
  }
  // It begins with this load.
  if (item.table.activate == Activate::now ||
      (item.table.activate == Activate::on_freeze &&
       source.device->state() == DeviceState::suspended)) {
    check_origin_is_unused(item);
  }
}

void TableLoad::check_origin_is_unused(const Item& item) {
  try {
    set_.check_merge_may_begin(item.table);
  } catch (const std::system_error& error) {
    throw TableError(item.table.place, error.what(), EBUSY);
  }
}

// Of a merge that is under way: its rate, its file, and no more.
void TableLoad::prepare_adjustment(Item& item, const DeviceSet::Member& live) {
  const MergeOptions& options = *as_snapshot(item.table).merge;
  item.fate = Item::Fate::adjusts;
  for (const std::string& name : options.also_as) {
    auto found = set_.members_.find(name);
    if (found != set_.members_.end() &&
        found->second.second_name_of == live.device->name()) {
      continue;
    }
    throw TableError(options.also_as_place,
                     name + " is no name of the merge that is under way",
                     EBUSY);
  }
  if (as_snapshot(item.table).length_sectors &&
      item.length != live.merging->size()) {
    throw TableError(item.table.place,
                     "the length cannot change during a merge", EBUSY);
  }
}

void TableLoad::refuse_store_that_merges(
    const Item& item, const DeviceSet::Member& source) const {
  if (!source.is_merge()) return;
  const SnapshotTable& table = as_snapshot(item.table);
  throw TableError(table.cow_place,
                   "the snapshot on COW device " + table.cow.path +
                       " is being merged into " + source.device->name(),
                   EBUSY);
}

// A snapshot that is taken while another one is merged would show, where it has
// no exceptions, an origin that is half of this and half of that. Only a store
// that has been there all the time knows better.
void TableLoad::refuse_during_merge(const Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  const bool is_new = item.new_store || table.store == StoreType::transient;
  std::string merge;
  const DeviceSet::Member* live = set_.merge_into(item.origin_storage);
  if (live != nullptr &&
      (is_new || !set_.removed_.contains(item.cow.storage))) {
    if (is_new || !table.cow.accept_stale) merge = live->device->name();
  }
  for (const Item& other : items_) {
    if (is_new && is_merge(other.table) && other.fate != Item::Fate::waits &&
        other.origin_storage == item.origin_storage) {
      merge = other.table.name;
    }
  }
  if (merge.empty()) return;
  throw TableError(table.origin_place,
                   "a snapshot cannot be taken during a merge: " + merge +
                       " still holds a part of the content that it had "
                       "before; `wait: merge` takes it when that has ended",
                   EBUSY);
}

}  // namespace snapfs

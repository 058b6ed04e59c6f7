// SPDX-License-Identifier: MIT
//
// The part of TableLoad that goes on with reverts which a crash or the end of a
// mount has interrupted, and says what cannot be while one is under way.
#include <algorithm>
#include <cerrno>

#include "core/error.h"
#include "core/reverter.h"
#include "core/table_kind.h"
#include "core/table_load.h"

namespace snapfs {

// The note on the COW device says that the origin is half of what it was and
// half of what this snapshot shows.
void TableLoad::prepare_revert(Item& item) {
  if (item.fate != Item::Fate::live || item.store == nullptr ||
      item.store->revert_marks() == nullptr) {
    return;
  }
  const SnapshotTable& table = as_snapshot(item.table);
  if (!is_origin_writable(item)) {
    throw TableError(table.origin_place,
                     "a revert to " + item.table.name +
                         " is under way, which has to be finished first: its "
                         "origin, " +
                         item.origin_table_name +
                         ", has to be a device of this mount, and writable",
                     EROFS);
  }
  check_only_revert(item);
  check_revert_may_go_on(item);
  item.revert_into =
      set_.opener_
          .open_origin(item.family->origin().name(), true, table.origin_place)
          .device;
}

bool TableLoad::is_origin_writable(const Item& item) {
  for (const Item& other : items_) {
    if (is_origin(other.table) && other.origin_storage == item.origin_storage) {
      return !as_origin(other.table).read_only;
    }
  }
  return std::any_of(set_.members_.begin(), set_.members_.end(),
                     [&](const auto& each) {
                       const DeviceSet::Member& member = each.second;
                       return member.is_origin() && !member.is_merge() &&
                              member.origin == item.origin_storage &&
                              !member.device->live()->read_only();
                     });
}

void TableLoad::check_only_revert(const Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  std::string other;
  if (const auto reverter = item.family->reverter()) {
    other = reverter->snapshot_name();
  }
  for (const Item& each : items_) {
    if (&each != &item && each.revert_into != nullptr &&
        each.origin_storage == item.origin_storage) {
      other = each.table.name;
    }
  }
  if (other.empty()) return;
  throw TableError(table.origin_place,
                   "a revert to " + item.table.name +
                       " is under way, and one of the same origin to " + other,
                   EBUSY);
}

// What has been written to an origin that came without its snapshot would be
// lost.
void TableLoad::check_revert_may_go_on(const Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  for (const auto& [name, member] : set_.members_) {
    if (!member.is_origin() || member.origin != item.origin_storage) continue;
    if (member.device->open_count() != 0) {
      throw TableError(table.origin_place,
                       "a revert to " + item.table.name +
                           " is under way, which would change the content of " +
                           name + " under its users",
                       EBUSY);
    }
    if (!table.cow.accept_stale &&
        set_.write_count(item.origin_storage)->load() != 0) {
      throw TableError(table.origin_place,
                       "a revert to " + item.table.name +
                           " is under way, and its origin " + name +
                           " was written without it, which would be lost; "
                           "`stale: accept` goes on all the same",
                       ESTALE);
    }
  }
}

void TableLoad::refuse_during_reverts() {
  for (const Item& item : items_) {
    if (!is_origin(item.table) && item.fate != Item::Fate::loaded &&
        item.revert_into == nullptr) {
      refuse_during_revert(item);
    }
  }
}

// As with a merge: a new snapshot would show an origin that is half of this and
// half of that.
void TableLoad::refuse_during_revert(const Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  std::string snapshot;
  bool is_live = false;
  if (const auto reverter = item.family->reverter()) {
    snapshot = reverter->snapshot_name();
    is_live = true;
  }
  for (const Item& other : items_) {
    if (other.revert_into != nullptr &&
        other.origin_storage == item.origin_storage) {
      snapshot = other.table.name;
    }
  }
  if (snapshot.empty()) return;
  if (table.merge) {
    throw TableError(table.origin_place,
                     "the origin is being reverted to " + snapshot +
                         ", and no snapshot can be merged into it until then",
                     EBUSY);
  }
  if (item.fate == Item::Fate::waits) return;
  const bool is_new = item.new_store || table.store == StoreType::transient;
  const bool was_away = is_live && !table.cow.accept_stale &&
                        !set_.removed_.contains(item.cow.storage);
  if (!is_new && !was_away) return;
  throw TableError(table.origin_place,
                   "a snapshot cannot be taken during a revert: the one to " +
                       snapshot +
                       " still holds a part of the content that the origin has",
                   EBUSY);
}

void TableLoad::begin_reverts(const Ready& ready) {
  for (const auto& [family, reverter] : ready.reverters) {
    family->set_reverter(reverter);
  }
}

}  // namespace snapfs

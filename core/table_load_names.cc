// SPDX-License-Identifier: MIT
//
// The part of TableLoad that says which tables a name can have: one in a load,
// and if it is live, one that goes on with what it has.
#include <algorithm>
#include <cerrno>

#include "core/table_kind.h"
#include "core/table_load.h"

namespace snapfs {

void TableLoad::check_names() {
  for (const Item& item : items_) {
    const Table& table = item.table;
    auto same_name = [&](const Item& other) {
      return &other != &item && other.table.name == table.name;
    };
    if (std::any_of(items_.begin(), items_.end(), same_name)) {
      throw TableError(table.place, "two tables have the name " + table.name,
                       EINVAL);
    }
    auto found = set_.members_.find(table.name);
    if (found != set_.members_.end()) check_name_of_live(item, found->second);
  }
}

// A live device can only go on with what it has: an origin with its device, a
// snapshot with its store.
void TableLoad::check_name_of_live(const Item& item,
                                   const DeviceSet::Member& member) {
  using Kind = DeviceSet::Member::Kind;
  const Table& table = item.table;
  if (member.kind == Kind::none) return;
  if (member.is_salvage() || is_salvage(table)) {
    throw TableError(table.place, table.name + " is live; remove it first",
                     EBUSY);
  }
  if (member.is_second()) {
    throw TableError(table.place,
                     table.name + " is a second name of " +
                         member.second_name_of + "; remove it first",
                     EBUSY);
  }
  if (member.is_merge() && is_origin(table)) {
    throw TableError(table.place,
                     table.name +
                         " is merging; it becomes a snapshot-origin by itself "
                         "when that has ended",
                     EBUSY);
  }
  auto refuse = [&](const std::string& why) {
    throw TableError(table.place, table.name + " is live" + why, EBUSY);
  };
  if (member.is_snapshot() && !member.has_store()) {
    throw TableError(
        table.place,
        table.name + " still has to be removed: its store was handed over",
        EBUSY);
  }
  if (acts_as_origin(table) != member.is_origin()) {
    refuse(std::string(" as a ") +
           (member.is_merge()    ? "snapshot-merge"
            : member.is_origin() ? "snapshot-origin"
                                 : "snapshot") +
           (is_merge(table) ? ", and a merge has the name of its origin"
                            : "; remove it first"));
  }
  if (acts_as_origin(table)) return;
  const SnapshotTable& snapshot = as_snapshot(table);
  if (set_.opener_.storage_of(snapshot.cow.path, snapshot.cow_place) !=
      member.cow) {
    refuse(" with another COW device, " + member.cow_path +
           "; remove it first");
  }
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// The part of TableLoad that prepares snapshots: whether a COW device is to be
// had, from nobody or from the live snapshot that hands it over.
#include <cerrno>

#include "core/persistent_store.h"
#include "core/snapshot.h"
#include "core/table_kind.h"
#include "core/table_load.h"

namespace snapfs {

void TableLoad::prepare_snapshot(Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  set_base(item);
  std::string source = find_source(item);
  const DeviceSet::Member* merge = set_.merge_into(item.origin_storage);
  if (merge != nullptr && table.wait_for_merge &&
      (source.empty() || source == merge->device->name())) {
    item.fate = Item::Fate::loaded;
    item.merge = merge->device->name();
    return;
  }
  if (!source.empty()) {
    refuse_store_that_merges(item, set_.members_.at(source));
    prepare_handover(item, set_.members_.at(source));
    return;
  }
  const bool is_manual =
      item.table.activate == Activate::manual && !item.table.was_live;
  if (is_manual || item.table.waits) item.fate = Item::Fate::loaded;
  // A read-only snapshot of an origin that is written here still takes copies.
  item.cow_is_writable = !table.read_only || item.origin_is_written;
  item.cow =
      set_.opener_.open_cow(table.cow, item.cow_is_writable, table.cow_place);
  check_cow(item);
  check_growable(item, *item.cow.device);
  check_stale(item);
  prepare_store(item);
  refuse_during_merge(item);
  prepare_revert(item);
}

// The live snapshot whose store is on the COW that the table names; empty:
// none.
std::string TableLoad::find_source(const Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  auto storage = set_.opener_.storage_of(table.cow.path, table.cow_place);
  if (!storage) return "";
  for (const auto& [name, member] : set_.members_) {
    if (member.has_store() && member.cow == *storage) return name;
  }
  return "";
}

void TableLoad::prepare_handover(Item& item, const DeviceSet::Member& source) {
  const SnapshotTable& table = as_snapshot(item.table);
  check_pairing(item, source);
  item.fate = Item::Fate::waits;
  item.source = source.device->name();
  const std::string cow = "COW device " + table.cow.path;
  if (item.origin_storage != source.origin) {
    throw TableError(table.origin_place,
                     cow + " belongs to a snapshot of another origin, " +
                         source.origin_table_name,
                     EINVAL);
  }
  CowExceptions& exceptions = source.snapshot->exceptions();
  check_growable(item, exceptions.cow());
  const uint64_t chunk_sectors = exceptions.chunk_size().sectors();
  if (table.chunk_sectors != 0 && table.chunk_sectors != chunk_sectors) {
    throw TableError(table.chunk_place,
                     cow + " has chunks of " + std::to_string(chunk_sectors) +
                         " sectors; leave the chunk size out to keep them",
                     EINVAL);
  }
  if ((table.store == StoreType::transient) !=
      (exceptions.type() == StoreType::transient)) {
    throw TableError(item.table.place,
                     cow + " holds a store of type " +
                         to_string(exceptions.type()) +
                         ", which cannot change to " + to_string(table.store),
                     EINVAL);
  }
  if (!source.cow_is_writable && !table.read_only) {
    throw TableError(table.cow_place, cow + " is open read-only", EROFS);
  }
}

// Two tables at a time for one COW, one of which has the store.
void TableLoad::check_pairing(const Item& item,
                              const DeviceSet::Member& source) {
  const SnapshotTable& table = as_snapshot(item.table);
  const std::string& source_name = source.device->name();
  auto refuse = [&](const std::string& why) {
    throw TableError(table.cow_place,
                     "Snapshot cow pairing for exception table handover "
                     "failed: " +
                         why,
                     EBUSY);
  };
  for (const auto& [name, member] : set_.members_) {
    if (member.is_snapshot() && !member.has_store() &&
        member.cow == source.cow) {
      refuse(name + ", which has handed the store over to " + source_name +
             ", still has to be removed");
    }
    if (name != item.table.name && member.next &&
        member.next->source == source_name) {
      refuse(name + " waits for the store of " + source_name +
             " already; clear it first");
    }
  }
  for (const Item& other : items_) {
    if (&other != &item && other.source == source_name) {
      refuse(other.table.name + ", which is loaded with it, takes the store");
    }
  }
}

void TableLoad::check_cow(const Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  if (item.cow.storage == item.origin_storage) {
    throw TableError(table.cow_place,
                     "COW device cannot be the same as origin device", EINVAL);
  }
  auto refuse = [&](const std::string& user) {
    throw TableError(table.cow_place,
                     "COW device " + table.cow.path + " is in use by " + user,
                     EBUSY);
  };
  for (const auto& [name, member] : set_.members_) {
    if (member.family != nullptr && member.origin == item.cow.storage)
      refuse(name + " as its origin");
    if (name != item.table.name && is_loaded_on(member, item.cow.storage))
      refuse(name + ", which is loaded");
    if (member.is_salvage() && member.cow == item.cow.storage)
      refuse(name + ", which salvages it");
  }
  for (const Item& other : items_) {
    if (&other == &item || other.family == nullptr) continue;
    if (other.origin_storage == item.cow.storage) {
      refuse(other.table.name + " as its origin");
    }
    if (other.cow.device != nullptr && other.cow.storage == item.cow.storage) {
      refuse(other.table.name + ", which is loaded with it");
    }
  }
  if (set_.untrusted_.contains(item.cow.storage)) {
    throw TableError(table.cow_place,
                     table.cow.path +
                         " holds a snapshot that became invalid, which could "
                         "not be recorded on it",
                     EIO);
  }
}

void TableLoad::check_growable(const Item& item, const BlockDevice& cow) const {
  const SnapshotTable& table = as_snapshot(item.table);
  if (!table.space.when_full.grow || cow.backing()) return;
  throw TableError(table.when_full_place,
                   table.cow.path +
                       " is not a regular file, so `when_full: grow` cannot "
                       "extend it",
                   EINVAL);
}

// Does a table that waits for nothing but to be resumed name this COW device?
bool TableLoad::is_loaded_on(const DeviceSet::Member& member,
                             const DeviceId& cow) {
  if (!member.next || !member.next->source.empty()) return false;
  const SnapshotTable& table = as_snapshot(member.next->table);
  return set_.opener_.storage_of(table.cow.path, table.cow_place) == cow;
}

// A store that its origin has outgrown would show new data as old.
void TableLoad::check_stale(const Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  auto removed = set_.removed_.find(item.cow.storage);
  if (removed == set_.removed_.end() || table.cow.accept_stale ||
      table.store == StoreType::transient ||
      removed->second.origin != item.origin_storage ||
      set_.write_count(item.origin_storage)->load() == removed->second.writes) {
    return;
  }
  // An emptied device begins a new store, for which nothing can be stale; one
  // that is marked invalid shows nothing.
  PersistentStore::Probe probe = PersistentStore::probe(*item.cow.device);
  if (probe.kind != PersistentStore::Probe::Kind::store ||
      probe.header.valid == 0) {
    return;
  }
  throw TableError(table.cow_place,
                   "stale store: the origin was written after " +
                       table.cow.path +
                       " had been removed, so it no longer shows the old "
                       "content; `stale: accept` loads it all the same",
                   ESTALE);
}

}  // namespace snapfs

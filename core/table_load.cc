// SPDX-License-Identifier: MIT
#include "core/table_load.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <set>

#include "core/disk_format.h"
#include "core/error.h"
#include "core/keeping.h"
#include "core/merging_snapshot.h"
#include "core/origin.h"
#include "core/persistent_store.h"
#include "core/reverter.h"
#include "core/salvaged_snapshot.h"
#include "core/transient_store.h"

namespace snapfs {
namespace {

bool is_origin(const Table& table) {
  return std::holds_alternative<OriginTable>(table.target);
}

const OriginTable& as_origin(const Table& table) {
  return std::get<OriginTable>(table.target);
}

const SnapshotTable& as_snapshot(const Table& table) {
  return std::get<SnapshotTable>(table.target);
}

bool is_merge(const Table& table) {
  return !is_origin(table) && as_snapshot(table).merge.has_value();
}

bool is_salvage(const Table& table) {
  return !is_origin(table) && as_snapshot(table).salvage;
}

// Is it what others may name as their origin?
bool acts_as_origin(const Table& table) {
  return is_origin(table) || is_merge(table);
}

// Origins come before what names them, and whoever writes to an origin before
// those whose COW devices must take copies then. A salvage may read the COW of
// a snapshot.
int preparation_rank(const Table& table) {
  if (is_origin(table)) return 0;
  if (is_merge(table)) return 1;
  if (is_salvage(table)) return 4;
  return as_snapshot(table).discard_passdown_origin ? 2 : 3;
}

// Will it write to its origin device?
bool writes_origin(const Table& table) {
  if (is_origin(table)) return !as_origin(table).read_only;
  return is_merge(table) || as_snapshot(table).discard_passdown_origin;
}

uint64_t checked_length(const std::optional<uint64_t>& asked_sectors,
                        uint64_t device_bytes, const std::string& device,
                        const Place& place) {
  uint64_t have = device_bytes >> kSectorShift;
  uint64_t length = asked_sectors.value_or(have);
  if (length == 0) throw TableError(place, "the length is 0", EINVAL);
  if (length > have) {
    throw TableError(place,
                     "the length of " + std::to_string(length) +
                         " sectors exceeds " + device + ", which has " +
                         std::to_string(have),
                     EINVAL);
  }
  return length << kSectorShift;
}

}  // namespace

TableLoad::TableLoad(DeviceSet& set, std::vector<Table> tables) : set_(set) {
  std::stable_sort(tables.begin(), tables.end(),
                   [](const Table& a, const Table& b) {
                     return preparation_rank(a) < preparation_rank(b);
                   });
  for (Table& table : tables) {
    items_.emplace_back();
    items_.back().table = std::move(table);
  }
}

TableLoad::~TableLoad() {
  if (is_live_) return;
  for (Item& item : items_) {
    item.store.reset();
    if (item.cow.created) set_.opener_.discard_created(item.cow);
  }
}

void TableLoad::run() {
  MutexLock lock(set_.load_mutex_);
  prepare();
  // First of all that is changed: what cannot be kept is refused.
  Keeping keeping(set_.keeper_, set_.events_, set_.kept(), expected());
  write();
  std::vector<DeviceSet::Member*> frozen = freeze_sources();
  try {
    // What is replaced by a merge was written to until now.
    for (const Item& item : items_) {
      if (item.fate == Item::Fate::merges) check_stale(item);
    }
    go_live();
  } catch (const std::system_error& error) {
    set_.thaw_all(frozen);
    fail_writing(items_.front(), error.what());
  } catch (...) {
    set_.thaw_all(frozen);
    throw;
  }
  set_.thaw_second_names(frozen);
  wait();
  try {
    set_.hand_over_what_is_ready();
  } catch (const std::exception& error) {
    give_up_waiting(frozen);
    fail_writing(items_.front(), error.what());
  }
  keeping.done(set_.kept());
}

// Everything that these tables were to be handed over is where it was.
void TableLoad::give_up_waiting(const std::vector<DeviceSet::Member*>& frozen) {
  std::vector<DeviceSet::Member*> still_frozen;
  for (DeviceSet::Member* member : frozen) {
    if (member->device->state() == DeviceState::suspended) {
      still_frozen.push_back(member);
    }
  }
  set_.thaw_all(still_frozen);
  for (const Item& item : items_) {
    auto found = set_.members_.find(item.table.name);
    const bool waits = item.fate == Item::Fate::waits &&
                       found != set_.members_.end() && found->second.next;
    if (waits) set_.drop_next(item.table.name);
  }
}

KeptDevices TableLoad::expected() {
  if (set_.keeper_ == nullptr) return {};
  KeptDevices result = set_.kept();
  Groups groups = groups_of_waiting();
  std::set<std::string> frozen;
  for (const Item& item : items_) {
    KeptDevice& mine = result[item.table.name];
    auto table = std::make_shared<const Table>(item.table);
    if (item.fate != Item::Fate::waits && item.fate != Item::Fate::loaded) {
      mine.live = std::move(table);
      if (item.fate == Item::Fate::live) mine.next = nullptr;
      continue;
    }
    mine.next = std::move(table);
    mine.source = item.source;
    mine.group = *groups.at(item.table.name);
    if (is_frozen_by_load(item)) frozen.insert(item.source);
  }
  set_.expect_handovers(frozen, result);
  return result;
}

void TableLoad::prepare() {
  check_names();
  for (Item& item : items_) {
    try {
      prepare(item);
    } catch (const std::system_error& error) {
      // A device that does not even say how large it is.
      throw TableError(item.table.place, error.what(), errno_of(error));
    }
  }
  refuse_during_reverts();
}

void TableLoad::prepare(Item& item) {
  if (is_origin(item.table)) {
    prepare_origin(item);
  } else if (is_merge(item.table)) {
    prepare_merge(item);
  } else if (is_salvage(item.table)) {
    prepare_salvage(item);
  } else {
    prepare_snapshot(item);
  }
}

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

void TableLoad::prepare_origin(Item& item) {
  const OriginTable& table = as_origin(item.table);
  auto self = set_.members_.find(item.table.name);
  if (self != set_.members_.end() && self->second.is_origin()) {
    item.fate = Item::Fate::replaces;
  }
  item.origin = set_.opener_.open_origin(table.device, !table.read_only,
                                         table.device_place);
  item.origin_storage = item.origin.storage;
  item.origin_table_name = item.origin.table_name;
  item.length = checked_length(table.length_sectors, item.origin.device->size(),
                               table.device, item.table.place);
  if (item.fate == Item::Fate::replaces &&
      self->second.origin != item.origin_storage) {
    throw TableError(table.device_place,
                     item.table.name + " is live with another device, " +
                         self->second.origin_table_name + "; remove it first",
                     EBUSY);
  }
  if (item.fate == Item::Fate::replaces) {
    check_length_kept(item, self->second);
    if (table.read_only && self->second.family->reverter() != nullptr) {
      throw TableError(
          item.table.place,
          item.table.name + " is being reverted, so it cannot be read-only",
          EBUSY);
    }
  }
  for (const auto& [name, member] : set_.members_) {
    if (name == item.table.name) continue;
    if (member.is_origin() && member.origin == item.origin_storage) {
      throw TableError(table.device_place,
                       table.device + " is the origin " + name + " already",
                       EBUSY);
    }
    if (member.is_salvage() && member.cow == item.origin_storage) {
      throw TableError(table.device_place,
                       table.device + " is being read by " + name, EBUSY);
    }
    if (!member.has_store()) continue;
    if (member.cow == item.origin_storage) {
      throw TableError(table.device_place,
                       table.device + " is the COW device of " + name, EBUSY);
    }
    if (member.origin == item.origin_storage && !table.read_only &&
        !member.cow_is_writable) {
      throw TableError(table.device_place,
                       "the COW device of snapshot " + name +
                           " is open read-only, so this origin cannot be "
                           "written; say read_only: true",
                       EBUSY);
    }
  }
  for (const Item& other : items_) {
    if (&other == &item) break;
    if (other.origin_storage == item.origin_storage) {
      throw TableError(
          table.device_place,
          table.device + " is the origin " + other.table.name + " already",
          EBUSY);
    }
  }
  std::optional<Base> base = base_of_storage(item.origin_storage);
  item.family = base ? base->family : make_family(item.origin);
}

// What a live snapshot shows of its origin is not to be cut off.
void TableLoad::check_length_kept(const Item& item,
                                  const DeviceSet::Member& self) {
  std::shared_ptr<Target> live = self.device->live();
  if (live == nullptr || item.length >= live->size()) return;
  for (const auto& [name, member] : set_.members_) {
    if (!member.has_store() || member.origin != item.origin_storage ||
        member.snapshot->size() <= item.length ||
        member.snapshot->exceptions().state() == SnapshotState::invalid) {
      continue;
    }
    throw TableError(
        item.table.place,
        item.table.name + " cannot be shortened to " +
            std::to_string(item.length >> kSectorShift) +
            " sectors: its snapshot " + name + " has " +
            std::to_string(member.snapshot->size() >> kSectorShift),
        EBUSY);
  }
}

std::shared_ptr<Family> TableLoad::make_family(const OpenedDevice& origin) {
  return std::make_shared<Family>(origin.device,
                                  set_.write_count(origin.storage));
}

// The family of an origin device that is in use already, or in this load.
std::optional<TableLoad::Base> TableLoad::base_of_storage(
    const DeviceId& storage) {
  std::optional<Base> base;
  auto merge = [&](const std::shared_ptr<Family>& family,
                   const std::string& table_name, bool is_writable) {
    if (!base) base = Base{family, storage, table_name, false};
    base->is_writable |= is_writable;
  };
  for (const auto& [name, member] : set_.members_) {
    if (member.family != nullptr && member.origin == storage) {
      merge(member.family, member.origin_table_name, member.writes_origin);
    }
  }
  // A table that waits writes to its origin later.
  for (const auto& [name, member] : set_.members_) {
    if (base && member.next && member.next->passdown.device != nullptr &&
        member.next->passdown.storage == storage) {
      base->is_writable = true;
    }
  }
  for (const Item& item : items_) {
    if (item.family != nullptr && item.origin_storage == storage) {
      merge(item.family, item.origin_table_name, writes_origin(item.table));
    }
  }
  return base;
}

TableLoad::Base TableLoad::find_base(const Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  std::optional<DeviceId> storage;
  bool is_snapshot = false;
  for (const Item& other : items_) {
    if (&other == &item || other.table.name != table.origin) continue;
    is_snapshot = !acts_as_origin(other.table);
    if (!is_snapshot) storage = other.origin_storage;
  }
  auto live = set_.members_.find(table.origin);
  if (live != set_.members_.end() && !storage) {
    if (live->second.is_origin()) storage = live->second.origin;
    is_snapshot = live->second.is_snapshot() || live->second.is_second();
  }
  if (is_snapshot) {
    throw TableError(table.origin_place,
                     table.origin + " is a snapshot, not an origin", EINVAL);
  }
  if (storage) return *base_of_storage(*storage);
  return base_of_path(item);
}

TableLoad::Base TableLoad::base_of_path(const Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  OpenedDevice origin;
  try {
    origin = set_.opener_.open_origin(
        table.origin_path, writes_origin(item.table), table.origin_place);
  } catch (const TableError& error) {
    if (error.error() != ENOENT) throw;
    throw TableError(table.origin_place,
                     "there is no origin named " + table.origin +
                         ", and no device " + table.origin_path,
                     ENOENT);
  }
  if (auto base = base_of_storage(origin.storage)) return *base;
  return {make_family(origin), origin.storage, origin.table_name, false};
}

void TableLoad::set_base(Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  Base base = find_base(item);
  item.family = base.family;
  item.origin_storage = base.storage;
  item.origin_table_name = base.table_name;
  item.origin_is_written = base.is_writable || writes_origin(item.table);
  item.length = checked_length(
      table.length_sectors, item.family->origin().size(),
      "the origin " + item.family->origin().name(), item.table.place);
  if (!writes_origin(item.table)) return;
  item.origin = set_.opener_.open_origin(item.family->origin().name(), true,
                                         table.origin_place);
  for (const auto& [name, member] : set_.members_) {
    if (member.has_store() && member.origin == item.origin_storage &&
        !member.cow_is_writable) {
      throw TableError(
          table.origin_place,
          "the COW device of snapshot " + name +
              " is open read-only, so this origin cannot be "
              "written" +
              (table.merge ? "" : "; leave discard_passdown_origin out"),
          EBUSY);
    }
  }
}

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

void TableLoad::check_chunk_size(const Item& item, uint64_t sectors,
                                 const Place& place,
                                 const std::string& prefix) const {
  auto refuse = [&](const char* why) {
    throw TableError(place, prefix + why, EINVAL);
  };
  if (!std::has_single_bit(sectors)) refuse("Chunk size is not a power of 2");
  if (sectors > kMaxChunkSectors) refuse("Chunk size is too high");
  for (const BlockDevice* device :
       {item.cow.device.get(), &item.family->origin()}) {
    uint64_t block_sectors = device->logical_block_size() >> kSectorShift;
    if (sectors % block_sectors != 0) {
      refuse("Chunk size is not a multiple of device blocksize");
    }
  }
}

void TableLoad::refuse_foreign_content(const Item& item) const {
  const SnapshotTable& table = as_snapshot(item.table);
  if (table.cow.force_initialise || item.cow.created) return;
  std::string content = set_.opener_.foreign_content(item.cow);
  if (content.empty()) return;
  throw TableError(table.cow_place,
                   table.cow.path + " holds " + content +
                       "; `initialise: force` overwrites it",
                   EINVAL);
}

void TableLoad::prepare_store(Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  BlockDevice& cow = *item.cow.device;
  PersistentStore::Probe probe;
  try {
    probe = PersistentStore::probe(cow);
    if (table.store == StoreType::transient) {
      if (table.chunk_sectors == 0) {
        throw TableError(table.chunk_place, "Chunk size not set", EINVAL);
      }
      if (probe.kind == PersistentStore::Probe::Kind::store &&
          !table.cow.force_initialise) {
        throw TableError(table.cow_place,
                         table.cow.path +
                             " holds a persistent store; `initialise: force` "
                             "overwrites it",
                         EINVAL);
      }
      refuse_foreign_content(item);
      check_chunk_size(item, table.chunk_sectors, table.chunk_place, "");
      item.store = std::make_unique<TransientStore>(
          item.cow.device, ChunkSize(table.chunk_sectors));
    } else if (probe.kind == PersistentStore::Probe::Kind::store) {
      load_store(item, probe.header);
    } else {
      prepare_new_store(item,
                        probe.kind == PersistentStore::Probe::Kind::foreign);
    }
  } catch (const std::system_error& error) {
    throw TableError(
        table.cow_place,
        std::string("Failed to read snapshot metadata: ") + error.what(),
        errno_of(error));
  }
}

void TableLoad::prepare_new_store(Item& item, bool has_foreign_magic) {
  const SnapshotTable& table = as_snapshot(item.table);
  BlockDevice& cow = *item.cow.device;
  refuse_foreign_content(item);
  if (has_foreign_magic && !table.cow.force_initialise) {
    throw TableError(table.cow_place,
                     table.cow.path +
                         ": Invalid or corrupt snapshot: it begins with "
                         "neither a store nor zeroes; `initialise: force` "
                         "overwrites it",
                     ENXIO);
  }
  if (!item.cow_is_writable) {
    throw TableError(table.cow_place,
                     table.cow.path +
                         " holds no store, and a read-only table does not make "
                         "one",
                     EROFS);
  }
  uint64_t sectors = table.chunk_sectors;
  if (sectors == 0) {
    sectors = std::max<uint64_t>(kDefaultChunkSectors,
                                 cow.logical_block_size() >> kSectorShift);
  }
  check_chunk_size(item, sectors,
                   table.chunk_given ? table.chunk_place : table.cow_place, "");
  ChunkSize chunk_size(sectors);
  if (!PersistentStore::fits(cow, chunk_size)) {
    throw TableError(table.cow_place,
                     table.cow.path + " is too small: a store with chunks of " +
                         std::to_string(sectors) + " sectors needs " +
                         std::to_string(kFirstDataChunk * sectors) +
                         " sectors at least, it has " +
                         std::to_string(cow.size() >> kSectorShift),
                     EINVAL);
  }
  item.new_store = chunk_size;
}

void TableLoad::load_store(Item& item, const DiskHeader& header) {
  const SnapshotTable& table = as_snapshot(item.table);
  if (header.chunk_sectors != table.chunk_sectors && table.chunk_sectors != 0) {
    item.remark = "chunk size " + std::to_string(header.chunk_sectors) +
                  " in device metadata overrides table chunk size of " +
                  std::to_string(table.chunk_sectors);
  }
  const ChunkSize chunk_size = checked_chunk_size(item, header);
  item.is_invalid = header.valid == 0;
  if (item.is_invalid) {
    // Its records are not looked at: nothing is read from it, or written to it.
    item.store = std::make_unique<TransientStore>(item.cow.device, chunk_size);
    item.remark = "Snapshot is marked invalid";
    return;
  }
  uint64_t origin_size = item.family->origin().size();
  uint64_t origin_chunks = chunk_size.cover({0, origin_size}).count;
  auto store = PersistentStore::load(item.cow.device, chunk_size, origin_chunks,
                                     item.exceptions);
  item.has_void_note = store->has_void_note();
  item.store = std::move(store);
  if (item.has_void_note) {
    item.remark =
        "the revert to it is given up: the COW device was written elsewhere "
        "meanwhile";
  }
}

ChunkSize TableLoad::checked_chunk_size(const Item& item,
                                        const DiskHeader& header) const {
  const SnapshotTable& table = as_snapshot(item.table);
  check_chunk_size(item, header.chunk_sectors, table.cow_place,
                   table.cow.path + ": invalid on-disk chunk size " +
                       std::to_string(header.chunk_sectors) + ": ");
  if (header.version != kDiskVersion) {
    throw std::system_error(Errc::bad_metadata,
                            table.cow.path +
                                ": unable to handle snapshot disk version " +
                                std::to_string(header.version));
  }
  return ChunkSize(header.chunk_sectors);
}

void TableLoad::write() {
  for (Item& item : items_) {
    if (item.fate != Item::Fate::live && item.fate != Item::Fate::merges) {
      continue;
    }
    if (item.has_void_note && item.cow_is_writable) {
      try {
        item.store->end_revert();
      } catch (const std::exception& error) {
        fail_writing(item, error.what());
      }
    }
    if (!item.new_store) continue;
    try {
      item.store = PersistentStore::create(item.cow.device, *item.new_store);
    } catch (const std::exception& error) {
      fail_writing(item, error.what());
    }
    initialised_.push_back(&item);
  }
}

void TableLoad::fail_writing(const Item& item, const std::string& why) const {
  std::string message = why;
  if (!initialised_.empty()) {
    message += " (stores initialised before that:";
    for (const Item* done : initialised_) {
      message += " " + as_snapshot(done->table).cow.path;
    }
    message += ")";
  }
  throw TableError(item.table.place, message, EIO);
}

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

// For `activate: now`, before anything is changed that could not be taken back.
std::vector<DeviceSet::Member*> TableLoad::freeze_sources() {
  std::set<std::string> sources;
  const Item* first = nullptr;
  for (const Item& item : items_) {
    // A merge takes the origin's place.
    if (item.fate == Item::Fate::merges) {
      sources.merge(set_.all_names_of(item.table.name));
    }
    if (is_frozen_by_load(item)) sources.insert(item.source);
    if (first == nullptr && !sources.empty()) first = &item;
  }
  try {
    return set_.freeze_all(sources);
  } catch (const std::exception& error) {
    fail_writing(*first, error.what());
  }
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

// The group of each table that will not go live by itself.
TableLoad::Groups TableLoad::groups_of_waiting() {
  Groups groups;
  auto together = std::make_shared<std::set<std::string>>();
  for (const Item& item : items_) {
    if (item.fate != Item::Fate::waits && item.fate != Item::Fate::loaded) {
      continue;
    }
    const std::string& name = item.table.name;
    auto shared = std::make_shared<std::set<std::string>>();
    if (item.fate == Item::Fate::waits &&
        item.table.activate != Activate::manual) {
      shared = together;
    }
    // One that replaces a waiting table takes its place among the others.
    auto old = set_.members_.find(name);
    if (items_.size() == 1 && shared == together &&
        old != set_.members_.end() && old->second.next &&
        !old->second.next->source.empty()) {
      shared = old->second.next->group;
    }
    shared->insert(name);
    groups[name] = std::move(shared);
  }
  return groups;
}

bool TableLoad::is_frozen_by_load(const Item& item) const {
  return item.fate == Item::Fate::waits &&
         item.table.activate == Activate::now && !item.table.waits;
}

void TableLoad::wait() {
  const Groups groups = groups_of_waiting();
  for (Item& item : items_) {
    auto group = groups.find(item.table.name);
    if (group == groups.end()) continue;
    set_.set_next(item.table.name,
                  {item.table, item.source, item.length, std::move(item.origin),
                   item.merge, group->second});
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

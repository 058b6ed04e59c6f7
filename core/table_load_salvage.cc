// SPDX-License-Identifier: MIT
//
// The part of TableLoad that prepares what is left of an invalid snapshot.
#include <algorithm>
#include <cerrno>

#include "core/disk_format.h"
#include "core/error.h"
#include "core/persistent_store.h"
#include "core/salvaged_snapshot.h"
#include "core/table_kind.h"
#include "core/table_load.h"

namespace snapfs {
namespace {

[[noreturn]] void refuse(const Table& table, const std::string& why,
                         int error) {
  throw TableError(as_snapshot(table).cow_place,
                   "COW device " + as_snapshot(table).cow.path + " " + why,
                   error);
}

// What the snapshot had in memory, and no record says, is on the COW for
// nobody: the origin shows something else there.
void note_unrecorded(const CowExceptions& known, const ExceptionTable& recorded,
                     uint64_t length, WrittenRanges& written) {
  const ChunkSize chunk_size = known.chunk_size();
  known.look_up_invalid(
      chunk_size.cover({0, length}),
      [&](uint64_t chunk, const ExceptionTable::Stretch& stretch) {
        if (!stretch.excepted) return;
        for (ChunkRange left{chunk, stretch.count}; !left.empty();) {
          const auto found = recorded.find(left.first, left.count);
          const ChunkRange part{left.first, found.count};
          if (!found.excepted) written.add(chunk_size.bytes_of(part));
          left = {part.end(), left.count - part.count};
        }
      });
}

}  // namespace

void TableLoad::prepare_salvage(Item& item) {
  const SnapshotTable& table = as_snapshot(item.table);
  set_base(item);
  item.cow = set_.opener_.open_cow(table.cow, false, table.cow_place);
  const DeviceSet::Member* live = check_nobody_needs_cow(item);
  try {
    load_records(item, live != nullptr);
  } catch (const std::system_error& error) {
    throw TableError(
        table.cow_place,
        std::string("Failed to read snapshot metadata: ") + error.what(),
        errno_of(error));
  }
  if (live == nullptr) return;
  if (!table.length_sectors) {
    item.length = std::min(item.length, live->snapshot->size());
  }
  const CowExceptions& known = live->snapshot->exceptions();
  item.written = known.written_since_invalid();
  if (item.written == nullptr) return;
  note_unrecorded(known, item.exceptions, item.length, *item.written);
}

// But for a snapshot that is invalid, which is returned; null: there is none.
const DeviceSet::Member* TableLoad::check_nobody_needs_cow(const Item& item) {
  const DeviceId& cow = item.cow.storage;
  if (cow == item.origin_storage) refuse(item.table, "is the origin", EINVAL);
  for (const Item& other : items_) {
    if (&other == &item || other.family == nullptr) continue;
    if (other.origin_storage == cow ||
        (other.cow.device != nullptr && other.cow.storage == cow &&
         !other.is_invalid && !as_snapshot(other.table).salvage)) {
      refuse(item.table, "is in use by " + other.table.name, EBUSY);
    }
  }
  const DeviceSet::Member* live = nullptr;
  for (const auto& [name, member] : set_.members_) {
    if (member.family != nullptr && member.origin == cow) {
      refuse(item.table, "is in use by " + name + " as its origin", EBUSY);
    }
    if (!member.has_store() || member.cow != cow) continue;
    if (member.is_merge()) {
      refuse(item.table, "is being merged into " + name, EBUSY);
    }
    const CowExceptions& exceptions = member.snapshot->exceptions();
    if (exceptions.state() != SnapshotState::invalid) {
      refuse(item.table,
             "is in use by " + name + ", which is valid: it shows everything",
             EBUSY);
    }
    if (exceptions.type() == StoreType::transient) {
      refuse(item.table,
             "has no records: the store of " + name + " is transient", EINVAL);
    }
    if (member.origin != item.origin_storage) {
      refuse(item.table,
             "belongs to a snapshot of another origin, " +
                 member.origin_table_name,
             EINVAL);
    }
    live = &member;
  }
  return live;
}

void TableLoad::load_records(Item& item, bool is_known_as_invalid) {
  BlockDevice& cow = *item.cow.device;
  const PersistentStore::Probe probe = PersistentStore::probe(cow);
  if (probe.kind != PersistentStore::Probe::Kind::store) {
    refuse(item.table, "holds no store", EINVAL);
  }
  if (probe.header.valid != 0 && !is_known_as_invalid &&
      !set_.untrusted_.contains(item.cow.storage)) {
    refuse(item.table,
           "holds a snapshot that is valid: `target: snapshot` shows it",
           EINVAL);
  }
  const ChunkSize chunk_size = checked_chunk_size(item, probe.header);
  const uint64_t origin_size = item.family->origin().size();
  item.store = PersistentStore::load(item.cow.device, chunk_size,
                                     chunk_size.cover({0, origin_size}).count,
                                     item.exceptions);
}

std::shared_ptr<Target> TableLoad::make_salvage(Item& item) {
  return std::make_shared<SalvagedSnapshot>(
      item.family, item.cow.device, std::move(item.exceptions), item.written,
      SalvagedSnapshot::Options{item.length, item.store->chunk_size(),
                                item.store->usage(), item.origin_table_name,
                                item.cow.table_name});
}

}  // namespace snapfs

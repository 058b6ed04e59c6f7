// SPDX-License-Identifier: MIT
//
// The part of TableLoad that looks at what is on a COW device: loads the store
// there, or sees whether a new one can be made.
#include <algorithm>
#include <bit>
#include <cerrno>

#include "core/disk_format.h"
#include "core/error.h"
#include "core/persistent_store.h"
#include "core/table_kind.h"
#include "core/table_load.h"
#include "core/transient_store.h"

namespace snapfs {

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

}  // namespace snapfs

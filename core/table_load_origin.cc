// SPDX-License-Identifier: MIT
//
// The part of TableLoad that finds the origin device of each table, and the
// family that it makes up with its snapshots.
#include <cerrno>

#include "core/snapshot.h"
#include "core/table_kind.h"
#include "core/table_load.h"

namespace snapfs {
namespace {

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

}  // namespace snapfs

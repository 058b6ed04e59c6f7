// SPDX-License-Identifier: MIT
//
// The part of TableLoad that is the transaction: in which order all tables are
// prepared, written and made live, and what is given back if that fails.
#include "core/table_load.h"

#include <algorithm>
#include <cerrno>

#include "core/error.h"
#include "core/keeping.h"
#include "core/persistent_store.h"
#include "core/table_kind.h"

namespace snapfs {
namespace {

// Origins come before what names them, and whoever writes to an origin before
// those whose COW devices must take copies then. A salvage may read the COW of
// a snapshot.
int preparation_rank(const Table& table) {
  if (is_origin(table)) return 0;
  if (is_merge(table)) return 1;
  if (is_salvage(table)) return 4;
  return as_snapshot(table).discard_passdown_origin ? 2 : 3;
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

}  // namespace snapfs

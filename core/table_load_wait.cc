// SPDX-License-Identifier: MIT
//
// The part of TableLoad that has to do with tables which do not go live by
// themselves: what they wait for, with whom, and what is kept of them.
#include <exception>
#include <set>

#include "core/table_kind.h"
#include "core/table_load.h"

namespace snapfs {

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

}  // namespace snapfs

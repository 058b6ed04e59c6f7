// SPDX-License-Identifier: MIT
#include "fusefs/saved_tables.h"

#include <algorithm>
#include <optional>
#include <set>
#include <variant>

#include "config/table_notes.h"

namespace snapfs {
namespace {

bool have_one_cow(const Table& a, const Table& b, DeviceOpener& opener) {
  const auto* first = std::get_if<SnapshotTable>(&a.target);
  const auto* second = std::get_if<SnapshotTable>(&b.target);
  if (first == nullptr || second == nullptr) return false;
  if (first->cow.path == second->cow.path) return true;
  const auto storage = opener.storage_of(first->cow.path, first->cow_place);
  return storage &&
         storage == opener.storage_of(second->cow.path, second->cow_place);
}

// The name of the table that has taken the store of `old` over; empty: none.
std::string successor_of(const Table& old, const Spec& spec,
                         const std::set<std::string>& dropped,
                         DeviceOpener& opener) {
  for (const Table& table : spec.tables) {
    if (table.handed_over_from == old.name && !dropped.contains(table.name) &&
        have_one_cow(table, old, opener)) {
      return table.name;
    }
  }
  return "";
}

bool is_live_already(const Table& waiting, const Spec& spec) {
  return std::any_of(
      spec.tables.begin(), spec.tables.end(), [&](const Table& live) {
        return live.name == waiting.name && same_table(live.text, waiting.text);
      });
}

}  // namespace

void drop_replaced(Spec& spec, DeviceOpener& opener, EventSink& events) {
  // Two may each say that they took over from the other, when the store went
  // back and forth; either will do, but not none.
  std::set<std::string> dropped;
  for (const Table& table : spec.tables) {
    const std::string successor = successor_of(table, spec, dropped, opener);
    if (successor.empty()) continue;
    dropped.insert(table.name);
    events.on_event({EventKind::handover, successor,
                     "has taken over the store of " + table.name +
                         " before; that one's table is dropped"});
  }
  std::erase_if(spec.tables, [&](const Table& table) {
    return dropped.contains(table.name);
  });
  std::erase_if(spec.waiting, [&](const Table& table) {
    return is_live_already(table, spec);
  });
}

std::vector<std::vector<Table>> waiting_groups(const Spec& spec) {
  auto names = [](const Table& table, const Table& other) {
    return std::find(table.group.begin(), table.group.end(), other.name) !=
           table.group.end();
  };
  std::vector<std::vector<Table>> groups;
  for (const Table& table : spec.waiting) {
    auto group = std::find_if(groups.begin(), groups.end(), [&](auto& each) {
      return std::any_of(each.begin(), each.end(), [&](const Table& other) {
        return names(table, other) || names(other, table);
      });
    });
    if (group == groups.end()) group = groups.emplace(groups.end());
    group->push_back(table);
  }
  return groups;
}

}  // namespace snapfs

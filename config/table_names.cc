// SPDX-License-Identifier: MIT
#include "config/table_names.h"

#include <map>
#include <string>
#include <utility>

#include "config/messages.h"

namespace snapfs {

void check_unique_names(const std::vector<Table>& tables) {
  std::map<std::pair<std::string, bool>, Place> places;
  for (const Table& table : tables) {
    auto [first, is_new] =
        places.emplace(std::make_pair(table.name, table.waits), table.place);
    if (is_new) continue;
    std::string first_place = first->second.prefix();  // ends in ": "
    fail(table.place, "the name " + quote(table.name) + " is taken by " +
                          first_place.substr(0, first_place.size() - 2));
  }
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What a file name in .control/tables stands for. Stateless.
#pragma once

#include <string>

namespace snapfs {

struct TableName {
  enum class Kind {
    table,     // NAME.yaml
    rejected,  // NAME.rejected
    next,      // NAME.next.yaml: the loaded table that is not live yet
    scratch,   // an editor's: kept in memory, without effect
    unusable,  // *.yaml, but not the name of a device: surely a mistake
  };
  Kind kind = Kind::scratch;
  std::string device;  // NAME; empty for the last two
};

TableName parse_table_name(const std::string& file);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A table line as dmsetup(8) takes it, "0 2097152 snapshot /dev/a /dev/b P 16".
// Errors have the kernel's words, at the argument they are about. Stateless.
#pragma once

#include <string>
#include <variant>

#include "config/yaml_node.h"
#include "core/table.h"

namespace snapfs {

// The target of the line that `node` holds. Empty lines and lines that begin
// with `#` are skipped, as dmsetup does. Throws TableError.
// REQUIRES: node is a scalar.
std::variant<OriginTable, SnapshotTable> parse_table_line(
    const YamlNode& node, const std::string& base_dir);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A document's nodes -> Table. Stateless.
#pragma once

#include <string>

#include "config/yaml_node.h"
#include "core/table.h"

namespace snapfs {

// All of the table but its text. `default_name`: of a table without `name:`;
// null if it must have one. Throws TableError.
Table build_table(const YamlNode& root, const std::string& base_dir,
                  const std::string* default_name);

}  // namespace snapfs

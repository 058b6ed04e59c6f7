// SPDX-License-Identifier: MIT
//
// A document -> YamlNode. The one place that includes yaml-cpp. Stateless.
#pragma once

#include <optional>
#include <string>

#include "config/document.h"
#include "config/yaml_node.h"

namespace snapfs {

// Nothing if the document is empty. Throws TableError for what is not YAML, for
// what tables have no use for (anchors, aliases, tags) and for what exceeds
// the limits in table_reader.h, before memory is spent on it.
// REQUIRES: check_text() has passed it.
std::optional<YamlNode> parse_yaml(const Document& document,
                                   const std::string& file);

}  // namespace snapfs

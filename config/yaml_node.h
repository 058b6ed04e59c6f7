// SPDX-License-Identifier: MIT
//
// A YAML document as plain values, each with the place it was written at. What
// the rest of the layer knows of YAML.
#pragma once

#include <string>
#include <vector>

#include "core/table.h"

namespace snapfs {

struct YamlNode {
  enum class Kind { null, scalar, list, map };

  Kind kind = Kind::null;
  Place place;
  std::string value;  // of a scalar

  // Where the scalar's first character stands, if the value is written there
  // as it is: on one line, without escapes. Else as `place`.
  Place value_place;
  bool is_verbatim = false;

  // Of a list its items; of a map key, value, key, value, ...
  std::vector<YamlNode> children;

  // Where byte `offset` of the value was written, as far as that is known.
  Place place_at(std::size_t offset) const {
    Place result = value_place;
    if (is_verbatim) result.column += static_cast<unsigned>(offset);
    return result;
  }
};

}  // namespace snapfs

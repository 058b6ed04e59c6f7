// SPDX-License-Identifier: MIT
//
// A YAML document as plain values, each with the place it was written at. What
// the rest of the layer knows of YAML.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/table.h"

namespace snapfs {

struct YamlNode {
  enum class Kind { null, scalar, list, map };

  Kind kind = Kind::null;
  Place place;
  std::string value;  // of a scalar

  // The column of the scalar's first character, behind the quote if there is
  // one, if the value is written as it is: on one line, without escapes.
  std::optional<unsigned> verbatim_column;

  // Of a list its items; of a map key, value, key, value, ...
  std::vector<YamlNode> children;

  // Where byte `offset` of the value was written, as far as that is known.
  Place place_at(std::size_t offset) const {
    Place result = place;
    if (verbatim_column)
      result.column = *verbatim_column + static_cast<unsigned>(offset);
    return result;
  }
};

}  // namespace snapfs

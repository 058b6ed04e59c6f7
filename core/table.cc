// SPDX-License-Identifier: MIT
#include "core/table.h"

namespace snapfs {

std::string Place::prefix() const {
  std::string text = file;
  if (line != 0) text += ":" + std::to_string(line);
  if (line != 0 && column != 0) text += ":" + std::to_string(column);
  return text.empty() ? text : text + ": ";
}

TableError::TableError(Place place, const std::string& message, int error)
    : std::runtime_error(place.prefix() + message),
      place_(std::move(place)),
      message_(message),
      error_(error) {}

const char* to_string(StoreType type) {
  switch (type) {
    case StoreType::persistent:
      return "P";
    case StoreType::persistent_overflow:
      return "PO";
    case StoreType::transient:
      return "N";
  }
  return "?";
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A persistent store as it lies on its device, for tools that look at stores:
// reads what is there, refuses nothing and keeps nothing, so that a hostile
// image costs neither more memory nor more than one pass over its log. Loading
// a store for use is PersistentStore's. Stateless; FORMAT.md has the layout.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/block_device.h"
#include "core/disk_format.h"

namespace snapfs {

// The first sector of a COW device.
struct HeaderSector {
  std::array<std::byte, kSectorBytes> bytes{};

  DiskHeader header() const { return unpack_header(bytes); }
  // What lies behind the header is zero in a store at rest.
  bool has_more() const;
};

// Nothing: the device is shorter than that. Throws std::system_error.
std::optional<HeaderSector> read_header_sector(BlockDevice& cow);

// Where a log ends, and how.
struct LogEnd {
  enum class Kind {
    found,          // by the record that ends it, in `slot`
    beyond_device,  // the area that would hold it is not on the device
    unreadable,     // the device failed at `offset`; `error` says how
  };
  Kind kind = Kind::found;
  uint64_t slot = 0;    // the number of records in front of it
  uint64_t offset = 0;  // byte on the device
  std::string error;
  // Records in the rest of that area that are not all zero. Nobody reads them.
  uint64_t behind = 0;
};

using RecordSink = std::function<void(uint64_t slot, const DiskRecord& record)>;

// Gives each record of the log to `record`, in order, and what is not zero
// behind its end to `behind`; either may be empty. What they throw ends it.
LogEnd scan_log(BlockDevice& cow, StoreLayout layout, const RecordSink& record,
                const RecordSink& behind);

}  // namespace snapfs

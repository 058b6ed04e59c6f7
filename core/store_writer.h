// SPDX-License-Identifier: MIT
//
// Writes the metadata of a whole store, record by record, for tools. A cut
// leaves a store that nobody loads, or all of it: the header has a version that
// does not exist until everything else is durable. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/block_device.h"
#include "core/disk_format.h"
#include "core/store_scan.h"

namespace snapfs {

class StoreWriter {
 public:
  // Writes nothing yet. `cow` outlives it.
  StoreWriter(BlockDevice& cow, StoreLayout layout);

  // Bytes that a store of so many records needs of its device for its
  // metadata, and for data in the chunks below `new_end`.
  static uint64_t needed_bytes(StoreLayout layout, uint64_t records,
                               uint64_t new_end);

  // Makes what is on the device unloadable; durable on return.
  void begin();

  // The record of the next slot. A read of the same log may be ahead, but not
  // behind.
  void append(const DiskRecord& record);

  // Something behind the end of the log, in its last area. REQUIRES: the slots
  // ascend, and are not those of records.
  void append_behind(uint64_t slot, const DiskRecord& record);

  // Zeroes the rest of the last area, makes all durable, and then the header.
  void finish(const HeaderSector& header);

  uint64_t records() const { return records_; }

 private:
  uint64_t window_start(uint64_t slot) const;
  ByteRange area_of(uint64_t slot) const;
  void put(uint64_t slot, const DiskRecord& record);
  void move_to(uint64_t start);

  BlockDevice& cow_;
  const StoreLayout layout_;
  std::vector<std::byte> window_;
  uint64_t at_;  // where window_ lies
  uint64_t records_ = 0;
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// The records of a persistent store: a log through the metadata areas, ended by
// a record of zeroes. It grows at its end and, when a snapshot is merged,
// shrinks there. Externally synchronised. FORMAT.md shows the layout, and the
// order of writes that append() keeps:
//
//   inside one area    flush; write the records (FUA)
//   across areas       write the later areas, the last of which ends in zeroes;
//                      flush; write the records of the first area (FUA), which
//                      alone makes the later ones reachable
//
// Behind the last record there is nothing but zeroes up to the end of its area,
// so any subset of a torn write's sectors reads as a prefix of the log.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/block_device.h"
#include "core/disk_format.h"
#include "core/exception.h"

namespace snapfs {

class RecordLog {
 public:
  // The log of a new store: writes zeroes over the first area (not yet
  // durable).
  static RecordLog create(BlockDevice& cow, StoreLayout layout);

  // Reads an existing log and gives each record, with its slot, to `sink`,
  // which may throw. Stops at the terminating record. Writes nothing; throws
  // std::system_error if an area cannot be read.
  static RecordLog load(
      BlockDevice& cow, StoreLayout layout,
      const std::function<void(uint64_t slot, const DiskRecord&)>& sink);

  // Number of records.
  uint64_t size() const { return size_; }

  // Makes all earlier writes to the device durable, and then these records.
  // After an error the log must not be appended to again; but after ENOSPC,
  // beginning with the same records.
  void append(const std::vector<ExceptionRun>& runs);

  // The last records, oldest first: at most `limit`, and those alone that lie
  // in one window with the last, so that they can be taken away in one write.
  // Throws std::system_error if they cannot be read, or are not there.
  std::vector<DiskRecord> tail(uint64_t limit);

  // Takes the last `count` records away: durable on return. REQUIRES: tail()
  // gave as many at least. On an error the log is as it was, and this can be
  // tried again; on the device they may be gone or not.
  void truncate(uint64_t count);

 private:
  RecordLog(BlockDevice& cow, StoreLayout layout);

  class RecordStream;
  // Bytes to be written at `offset` of the COW device: whole windows.
  struct Image {
    uint64_t offset = 0;
    std::vector<std::byte> bytes;
  };

  uint64_t window_start(uint64_t slot) const;
  ByteRange area_bytes(uint64_t area) const;
  Image take_records(RecordStream& records, uint64_t slot, uint64_t count);
  void try_append(const std::vector<ExceptionRun>& runs);
  void clean_tail();
  std::span<const std::byte> last_window();
  using Sink = std::function<void(uint64_t slot, const DiskRecord&)>;
  bool load_area(uint64_t area, const Sink& sink);

  BlockDevice& cow_;
  StoreLayout layout_;
  uint64_t size_ = 0;

  // Something other than zeroes lies behind the terminator, left by a write
  // that a power cut tore. It must go before a new record fills the gap in
  // front of it.
  bool tail_is_dirty_ = false;

  // What the window of the next slot holds on the device: the unit in which
  // areas are written. Zeroes from the next slot on.
  std::vector<std::byte> window_;

  // The same of the window of the last record, where that is another one and
  // has been asked for; its offset, or 0.
  std::vector<std::byte> last_window_;
  uint64_t last_window_start_ = 0;
};

}  // namespace snapfs

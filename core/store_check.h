// SPDX-License-Identifier: MIT
//
// What is wrong with a store, told finding by finding. Unlike loading, which
// ends at the first record that makes no sense, a check goes on to the end of
// the log. Memory is bounded, whatever the image holds: records that repeat
// chunks are found in as many passes as that takes. Stateless functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/block_device.h"
#include "core/disk_format.h"
#include "core/store_scan.h"

namespace snapfs {

struct Finding {
  enum class Kind {
    no_header,       // the device is shorter than a sector
    bad_magic,       // the header is not a store's
    bad_version,     // not 1
    bad_chunk_size,  // 0, no power of two, or too large
    bad_valid,       // neither 0 nor 1
    marked_invalid,  // the snapshot has lost its content
    header_rest,     // something behind the header, in its sector
    revert_note,     // the origin is being reverted to the snapshot
    old_beyond,      // an old chunk outside the origin, or any origin
    new_beyond,      // a new chunk outside the device
    new_metadata,    // a new chunk on a metadata area
    old_twice,       // an earlier record has the same old chunk
    new_twice,       // an earlier record has the same new chunk
    no_end,          // the log is not ended on the device
    unreadable,      // the device failed
    behind_end,      // dead records behind the end of the log
  };
  Kind kind = Kind::no_header;
  uint64_t offset = 0;           // byte on the device
  std::optional<uint64_t> slot;  // of the record that it is about
  std::string text;

  // Not all that is worth telling keeps a store from being used.
  bool is_error() const {
    return kind != Kind::header_rest && kind != Kind::revert_note &&
           kind != Kind::behind_end;
  }
};

// "old-twice"
std::string name_of(Finding::Kind kind);

using FindingSink = std::function<void(const Finding&)>;

// How far it is; may throw to end it.
using ScanProgress = std::function<void(uint64_t records)>;

struct CheckOptions {
  // Old chunks are compared with it, if it is known.
  std::optional<uint64_t> origin_bytes;
  // Taken instead of what the header says.
  std::optional<uint64_t> chunk_sectors;
  // For each search for chunks that repeat.
  std::size_t memory_bytes = std::size_t{128} << 20;
  ScanProgress progress;
};

// The sizes that records must keep to.
struct StoreBounds {
  StoreLayout layout;
  uint64_t cow_bytes = 0;
  std::optional<uint64_t> origin_bytes;
};

// What is wrong with one record by itself.
std::optional<Finding> fault_of(uint64_t slot, const DiskRecord& record,
                                const StoreBounds& bounds);

// What the header alone tells. Without a layout nothing is known of records.
struct HeaderCheck {
  std::optional<StoreLayout> layout;
  bool is_intact = false;  // magic, version and chunk size are good
  bool is_valid = false;   // it is intact, and says so
};
HeaderCheck check_header(const HeaderSector& sector,
                         std::optional<uint64_t> chunk_sectors,
                         const FindingSink& sink);

// What all the records say together.
struct RecordCheck {
  LogEnd end;
  uint64_t sound = 0;   // records that nothing is wrong with
  uint64_t errors = 0;  // findings that are errors
  // Behind the highest chunks that sound records name.
  uint64_t old_end = 0;
  uint64_t new_end = 0;
  // Ascending: slots of records whose chunks an earlier record has. The first
  // of them counts as sound: a later one is what a torn write brings back.
  std::vector<uint64_t> repeated;

  bool is_repeated(uint64_t slot) const;
};

// Where records come from: gives all of them, anew at each call.
using RecordPass = std::function<LogEnd(const RecordSink& record)>;

// Throws Errc::bad_metadata for more than kMaxRepeated records that repeat:
// that is no damaged store, and their slots would not fit in memory.
inline constexpr std::size_t kMaxRepeated = std::size_t{1} << 22;
RecordCheck check_records(const RecordPass& pass, const StoreBounds& bounds,
                          const CheckOptions& options, const FindingSink& sink);

struct StoreCheck {
  std::optional<HeaderSector> sector;
  HeaderCheck header;
  std::optional<StoreBounds> bounds;  // there if header.layout is
  RecordCheck records;                // empty without it
  uint64_t errors = 0;                // of all kinds
};

// All of it. Writes nothing. Throws std::system_error if the header cannot be
// read, what `options.progress` throws, and what check_records() does.
StoreCheck check_store(BlockDevice& cow, const CheckOptions& options,
                       const FindingSink& sink);

}  // namespace snapfs

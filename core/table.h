// SPDX-License-Identifier: MIT
//
// A table: what a user asks a device to be, as plain values. The config layer
// makes them from YAML, the core builds devices from them. Paths are absolute.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace snapfs {

// Where a table, or a key of it, was written.
struct Place {
  std::string file;
  unsigned line = 0;    // from 1; 0 = unknown
  unsigned column = 0;  // from 1; 0 = unknown

  // "FILE:LINE:COLUMN: ", without the parts that are unknown.
  std::string prefix() const;
};

// A table that cannot be taken. what() is "FILE:LINE:COLUMN: message".
class TableError : public std::runtime_error {
 public:
  TableError(Place place, const std::string& message, int error);

  const Place& place() const { return place_; }
  const std::string& message() const { return message_; }
  int error() const { return error_; }  // an errno: EINVAL, EBUSY, ENOENT, ...

 private:
  Place place_;
  std::string message_;
  int error_;
};

enum class StoreType {
  persistent,           // P: a full store makes the snapshot invalid
  persistent_overflow,  // PO: a full store makes snapshot writes fail
  transient,            // N: nothing is kept on the COW
};

// "P", "PO" or "N".
const char* to_string(StoreType type);

// Mode and owner of a device's file; what is not set is the mount's default.
struct FileAttributes {
  std::optional<uint32_t> mode;  // permission bits
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
};

// When a table that is loaded over a live one, or on a store in use, goes live.
enum class Activate {
  on_freeze,  // in the moment in which the source is suspended
  now,        // suspends the source itself, at once
  manual,     // when it is resumed, as with dmsetup
};

struct OriginTable {
  std::string device;  // path
  std::optional<uint64_t> length_sectors;
  bool read_only = false;
  Place device_place;
};

struct CowPath {
  std::string path;
  bool create = false;        // make a sparse file if nothing is there
  uint64_t create_bytes = 0;  // its size
  bool force_initialise =
      false;                  // `initialise: force`: foreign content is lost
  bool accept_stale = false;  // `stale: accept`
};

// What a snapshot-merge has beside the keys of a snapshot.
struct MergeOptions {
  uint64_t rate = 0;  // bytes a second; 0: as fast as it goes
  // Names under which the device answers, too: that of the snapshot whose store
  // it takes over, or of new files.
  std::vector<std::string> also_as;
  bool force = false;  // even if the origin's file is in use
  Place also_as_place;
};

// What happens when the COW device has no room for a write, of the snapshot or
// of its origin. What is not set does not apply; nothing set is what the kernel
// does: the snapshot becomes invalid, or overflows (PO, by its own writes).
struct WhenFull {
  // A regular file is extended before it is full, as long as it stays within
  // `max_bytes` and its filesystem has the space.
  struct Grow {
    uint64_t step_bytes = 0;
    uint64_t max_bytes = 0;
  };
  std::optional<Grow> grow;
  // Then writers wait for room, this long at most.
  std::optional<std::chrono::milliseconds> wait;
  // Then writes to the origin fail, and the snapshot stays as it is.
  bool refuse_origin = false;
};

// How a table keeps its COW device from being full.
struct SpacePolicy {
  WhenFull when_full;
  // Percent of use that are told when they are reached; ascending.
  std::vector<unsigned> thresholds{80, 95};
};

struct SnapshotTable {
  std::string origin;       // as written: name of an origin, or a path
  std::string origin_path;  // the same made absolute, for when it is a path
  CowPath cow;
  StoreType store = StoreType::persistent;
  uint64_t chunk_sectors = 0;  // 0 = what the header says, else the default
  bool chunk_given = false;    // false: not named at all
  bool discard_zeroes_cow = false;
  bool discard_passdown_origin = false;
  std::optional<uint64_t> length_sectors;
  bool read_only = false;
  std::chrono::milliseconds commit_interval{5000};
  std::optional<MergeOptions> merge;  // set: the target is snapshot-merge
  bool wait_for_merge = false;        // `wait: merge`
  bool salvage = false;               // the target is snapshot-salvage
  SpacePolicy space;
  Place when_full_place;
  Place origin_place;
  Place cow_place;
  Place chunk_place;
};

struct Table {
  std::string name;
  Place place;       // of its name or, if that is not written, its beginning
  std::string text;  // the YAML document it came from; empty: it came from none
  Activate activate = Activate::on_freeze;
  // Only wait: what takes no store over goes live when it is resumed, and `now`
  // is `on_freeze`. Snapshots only.
  bool waits = false;
  // It was live when it was kept: if it takes no store over it goes live at
  // once, also with `manual`.
  bool was_live = false;
  FileAttributes attributes;
  std::variant<OriginTable, SnapshotTable> target;

  // What whoever keeps tables has noted; loading takes no notice of it.
  std::string handed_over_from;    // whose store it took; empty: nobody's
  std::vector<std::string> group;  // names of what is handed over with it
};

}  // namespace snapfs

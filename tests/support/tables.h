// SPDX-License-Identifier: MIT
//
// Tables as tests need them, and a sink that remembers events. Names and paths
// are used as they are given.
#pragma once

#include <string>
#include <vector>

#include "core/events.h"
#include "core/mutex.h"
#include "core/table.h"

namespace snapfs::test {

inline Table origin_table(const std::string& name, const std::string& device) {
  Table table;
  table.name = name;
  table.place = {name + ".yaml", 1, 1};
  OriginTable target;
  target.device = device;
  target.device_place = {name + ".yaml", 2, 9};
  table.target = target;
  return table;
}

inline Table snapshot_table(const std::string& name, const std::string& origin,
                            const std::string& cow, StoreType type,
                            uint64_t chunk_sectors) {
  Table table;
  table.name = name;
  table.place = {name + ".yaml", 1, 1};
  SnapshotTable target;
  target.origin = origin;
  target.origin_path = origin;
  target.cow.path = cow;
  target.store = type;
  target.chunk_sectors = chunk_sectors;
  target.chunk_given = chunk_sectors != 0;
  target.origin_place = {name + ".yaml", 2, 9};
  target.cow_place = {name + ".yaml", 3, 6};
  target.chunk_place = {name + ".yaml", 4, 13};
  table.target = target;
  return table;
}

// `name` takes the place of the origin device at `origin`.
inline Table merge_table(const std::string& name, const std::string& origin,
                         const std::string& cow) {
  Table table = snapshot_table(name, origin, cow, StoreType::persistent, 0);
  MergeOptions options;
  options.also_as_place = {name + ".yaml", 5, 10};
  std::get<SnapshotTable>(table.target).merge = options;
  return table;
}

inline SnapshotTable& snapshot_of(Table& table) {
  return std::get<SnapshotTable>(table.target);
}

// Thread-safe.
class EventRecorder : public EventSink {
 public:
  void on_event(const Event& event) override {
    MutexLock lock(mutex_);
    events_.push_back(event);
  }

  std::vector<Event> events() const {
    MutexLock lock(mutex_);
    return events_;
  }

  unsigned count(EventKind kind) const {
    MutexLock lock(mutex_);
    unsigned found = 0;
    for (const Event& event : events_) found += event.kind == kind;
    return found;
  }

 private:
  mutable Mutex mutex_;
  std::vector<Event> events_ GUARDED_BY(mutex_);
};

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// All devices of one mount, by name. Loading and removing are transactions:
// one at a time, everything or nothing. Thread-safe; requests on devices go on
// meanwhile, but for the moment in which a family's members change.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/commit_timer.h"
#include "core/device.h"
#include "core/device_opener.h"
#include "core/events.h"
#include "core/family.h"
#include "core/mutex.h"
#include "core/table.h"

namespace snapfs {

class Snapshot;

class DeviceSet {
 public:
  DeviceSet(DeviceOpener& opener, EventSink& events)
      : opener_(opener), events_(events) {}
  // Commits and flushes every store; errors become events.
  ~DeviceSet();

  // Takes the tables, all or none: opens, reads and checks everything, and only
  // then writes (initialises new stores) and goes live. Throws TableError with
  // the first thing that is wrong, having changed nothing; an I/O error during
  // the writing names the stores that were initialised before it.
  void load(std::vector<Table> tables) EXCLUDES(load_mutex_, mutex_);

  // Removes a device: drains and flushes it and gives up its claims. Throws
  // std::system_error: no_such_device, busy (it is open).
  void remove(const std::string& name) EXCLUDES(load_mutex_, mutex_);

  // Null if there is none of that name.
  std::shared_ptr<Device> find(const std::string& name) const EXCLUDES(mutex_);

  // All of them, ordered by name.
  std::vector<std::shared_ptr<Device>> devices() const EXCLUDES(mutex_);

  // Makes everything that has been written durable. Errors become events and
  // are reported again by the next flush of the device.
  void flush_all() noexcept EXCLUDES(mutex_);

 private:
  friend class TableLoad;

  // What a live device is made of, beside its target.
  struct Member {
    std::shared_ptr<Device> device;
    std::shared_ptr<Family> family;
    DeviceId origin;  // storage of the family's origin
    std::string origin_table_name;
    bool writes_origin = false;    // it is a writable snapshot-origin
    Snapshot* snapshot = nullptr;  // if it is one
    DeviceId cow;                  // storage of its COW
    std::string cow_path;
    bool cow_is_writable = false;
  };

  // A store that was removed, and how often its origin had been written then.
  struct RemovedStore {
    DeviceId origin;
    uint64_t writes = 0;
  };

  using WriteCount = std::shared_ptr<std::atomic<uint64_t>>;

  void take_down(Member member) REQUIRES(load_mutex_);
  void flush(Device& device) noexcept;
  WriteCount write_count(const DeviceId& origin) REQUIRES(load_mutex_);

  DeviceOpener& opener_;
  EventSink& events_;
  CommitTimer timer_;

  // Held for a whole load or removal, device I/O included. Taken before mutex_.
  Mutex load_mutex_;
  std::map<std::string, Member> members_ GUARDED_BY(load_mutex_);
  std::map<DeviceId, WriteCount> write_counts_ GUARDED_BY(load_mutex_);
  std::map<DeviceId, RemovedStore> removed_ GUARDED_BY(load_mutex_);
  // Invalid, but what is on the COW does not say so.
  std::set<DeviceId> untrusted_ GUARDED_BY(load_mutex_);

  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<Device>> devices_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A device: a name, a gate and up to two tables, as a dm "mapped device" has
// them. The live table's target answers requests; the next one is loaded but
// does not answer yet. The device, its gate and whoever waits there outlive a
// change of table. Thread-safe.
//
// State         file  requests        on to
// loaded        no    -               live (resume)
// waiting       no    -               live (its source is handed over)
// live          yes   carried out     suspended (suspend)
// suspended     yes   park            live (resume, handover to itself),
//                                     handed over (handover to another name)
// handed over   yes   EIO             removed
// removed       no    EIO             -
// In the states live and suspended a next table may be loaded or waiting too.
//
//   auto pass = device.admission().enter(request);
//   if (!pass) return;                     // parked, request.wake() will come
//   device.live()->read(offset, buffer);   // the target cannot change here
#pragma once

#include <memory>
#include <string>

#include "core/admission.h"
#include "core/mutex.h"
#include "core/table.h"
#include "core/target.h"

namespace snapfs {

enum class DeviceState {
  loaded,
  waiting,
  live,
  suspended,
  handed_over,
  removed,
};

class Device {
 public:
  explicit Device(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  Admission& admission() { return admission_; }

  // The target that answers requests; null once the device has been removed.
  // Does not change while a Pass is held.
  std::shared_ptr<Target> live() const EXCLUDES(mutex_);

  // The tables; null if there is none.
  std::shared_ptr<const Table> live_table() const EXCLUDES(mutex_);
  std::shared_ptr<const Table> next_table() const EXCLUDES(mutex_);

  DeviceState state() const EXCLUDES(mutex_);

  // One or two lines for state/NAME, each ended by a newline: the state, and
  // that of the next table if there is another one.
  std::string state_text() const EXCLUDES(mutex_);

  // Counts a user of the device's file. False: the device has been removed or
  // is just being removed, and this user must not have it.
  bool try_open() EXCLUDES(mutex_);
  void closed() EXCLUDES(mutex_);
  unsigned open_count() const EXCLUDES(mutex_);

 private:
  DeviceState state_locked() const REQUIRES(mutex_);
  std::string describe_next() const REQUIRES(mutex_);

  friend class DeviceSet;
  friend class TableLoad;

  const std::string name_;
  Admission admission_;

  mutable Mutex mutex_;
  std::shared_ptr<Target> live_ GUARDED_BY(mutex_);
  std::shared_ptr<const Table> live_table_ GUARDED_BY(mutex_);
  std::shared_ptr<const Table> next_table_ GUARDED_BY(mutex_);
  std::string next_source_ GUARDED_BY(mutex_);  // what the next one waits for
  std::string handed_over_to_ GUARDED_BY(mutex_);  // the name; empty: not
  bool suspended_ GUARDED_BY(mutex_) = false;
  unsigned open_count_ GUARDED_BY(mutex_) = 0;
  bool removed_ GUARDED_BY(mutex_) = false;
};

}  // namespace snapfs

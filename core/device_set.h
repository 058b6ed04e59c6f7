// SPDX-License-Identifier: MIT
//
// All devices of one mount, by name. Loading and removing are transactions:
// one at a time, everything or nothing. Thread-safe; requests on devices go on
// meanwhile, but for the moment in which a family's members change.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/device_opener.h"
#include "core/events.h"
#include "core/mutex.h"
#include "core/table.h"

namespace snapfs {

class Family;

class DeviceSet {
 public:
  DeviceSet(DeviceOpener& opener, EventSink& events);
  // Commits and flushes every store; errors become events.
  ~DeviceSet();

  // Takes the tables, all or none: opens, reads and checks everything, and only
  // then writes (initialises new stores) and goes live. Throws TableError with
  // the first thing that is wrong, having changed nothing; an I/O error during
  // the writing names the stores that were initialised before it.
  void load(std::vector<Table> tables) EXCLUDES(load_mutex_);

  // Removes a device: drains and flushes it and gives up its claims. Throws
  // std::system_error: no_such_device, busy (it is open).
  void remove(const std::string& name) EXCLUDES(load_mutex_);

  // Null if there is none of that name.
  std::shared_ptr<Device> find(const std::string& name) const EXCLUDES(mutex_);

  // All of them, ordered by name.
  std::vector<std::shared_ptr<Device>> devices() const EXCLUDES(mutex_);

  // Makes everything that has been written durable. Errors become events and
  // are reported again by the next flush of the device.
  void flush_all() noexcept EXCLUDES(mutex_);

 private:
  struct Prepared;

  // (see device_set.cc)
};

}  // namespace snapfs

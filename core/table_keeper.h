// SPDX-License-Identifier: MIT
//
// Who keeps the tables for a later mount is told here what they will be, before
// anything changes. The calls come with the DeviceSet's load mutex held, one at
// a time, may block on I/O that is none of the set's devices, and must not call
// the DeviceSet.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/table.h"

namespace snapfs {

// What a later mount needs to know of a device. At least one of the tables is
// there; a device that has handed its store over has no live one any more.
struct KeptDevice {
  std::shared_ptr<const Table> live;
  // Whose store it took over, as long as that device has not been removed.
  std::string handed_over_from;

  std::shared_ptr<const Table> next;
  std::string source;           // whose store `next` waits for; empty: nobody's
  std::set<std::string> group;  // names of all that are handed over with it
};

using KeptDevices = std::map<std::string, KeptDevice>;

class TableKeeper {
 public:
  virtual ~TableKeeper() = default;

  // Both throw std::system_error or TableError with the reason; what was kept
  // is kept then, as far as that is possible.

  // From here on a later mount finds these tables. Those that they take the
  // place of may still be there, too: a mount that finds both knows which one
  // counts.
  virtual void keep_new(const KeptDevices& devices) = 0;

  // The same, and what is not among these is gone.
  virtual void keep(const KeptDevices& devices) = 0;
};

}  // namespace snapfs

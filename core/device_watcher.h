// SPDX-License-Identifier: MIT
//
// Who shows devices as files is told here when a file's cache must be dealt
// with. The calls come from the thread that suspends or loads, may block on
// I/O of that device, and must not call the DeviceSet.
#pragma once

#include <string>

namespace snapfs {

class Device;

class DeviceWatcher {
 public:
  virtual ~DeviceWatcher() = default;

  // The device is about to be suspended and still carries requests out: what
  // lies in caches above it should be written back now.
  virtual void before_freeze(Device& device) = 0;

  // The device is suspended and nothing is inside. What was written to it is
  // durable; this is not called if it is lost.
  virtual void after_freeze(Device&) {}

  // Who uses the device's file, in words ("attached to /dev/loop0"), for a
  // refusal; empty: it is not known. May wait a moment for those who are just
  // leaving; Device::open_count() tells on return whether they have.
  virtual std::string users_of(Device&) { return ""; }

  // Another target answers now: size and content may differ, or it answers EIO.
  // What lies in caches above it must go.
  virtual void after_change(Device& device) = 0;
};

}  // namespace snapfs

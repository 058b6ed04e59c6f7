// SPDX-License-Identifier: MIT
//
// What the core tells the outside: one short line per thing that happened.
#pragma once

#include <string>

namespace snapfs {

enum class EventKind {
  load,           // a device went live
  wait,           // a table waits for the store of another one
  clear,          // a table that was not live yet was dropped
  freeze,         // a device was suspended
  handover,       // a store went from one device to another
  resume,         // a suspended device goes on
  refuse,         // a table was refused
  remove,         // a device was removed
  merge,          // a merge begins, or has finished
  merge_failed,   // it stands still; the text says why. I/O goes on
  revert,         // a revert begins, or has finished
  revert_failed,  // as merge_failed
  invalid,        // a snapshot lost its content; the text says why
  overflow,       // a PO store is full: writes fail, reads go on
  usage,          // a COW device is used up to a threshold
  full,           // a write found no room; the text says what becomes of it
  grow,           // a COW device has grown
  error,          // something else that the administrator should know
};

struct Event {
  EventKind kind;
  std::string device;  // name of the device
  std::string text;    // the reason, one line, no trailing full stop or newline
};

// "load", "refuse", ... as the events file prints it.
const char* to_string(EventKind kind);

class EventSink {
 public:
  virtual ~EventSink() = default;
  // Thread-safe; does not block; called with locks of the core held, so it
  // must not call back into the core.
  virtual void on_event(const Event& event) = 0;
};

}  // namespace snapfs

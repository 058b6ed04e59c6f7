// SPDX-License-Identifier: MIT
//
// The last events and errors of this mount, kept in memory for the files
// .control/events, .control/log and .control/errors, and passed on to the log.
// Thread-safe.
//
// An event is one line:
//
//   2024-05-17T09:30:12.345Z KIND DEVICE TEXT
//
// the time in UTC (RFC 3339, milliseconds), the kind as core/events.h prints
// it, the name of the device ("-" if it concerns none), and the reason, to the
// end of the line. The first three hold no space.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/events.h"
#include "core/mutex.h"

namespace snapfs {

class EventLog : public EventSink {
 public:
  // What is kept, in bytes; the oldest lines make room for new ones.
  static constexpr std::size_t kStreamBytes = std::size_t{1} << 20;
  static constexpr std::size_t kErrorBytes = std::size_t{64} << 10;

  // `log`: where each line also goes (syslog or stderr), one call a line.
  explicit EventLog(std::function<void(bool is_error, const std::string&)> log);
  ~EventLog() override;

  // One line as above, of this moment. Newlines become spaces.
  static std::string line(const std::string& kind, const std::string& device,
                          const std::string& text);

  void on_event(const Event& event) override EXCLUDES(mutex_);

  // Adds to the text of .control/errors. `text` may have several lines.
  void add_error(const std::string& text) EXCLUDES(mutex_);

  // The text of .control/errors, newest last.
  std::string errors() const EXCLUDES(mutex_);

  // The event lines as one stream of bytes that began with the mount. Bytes
  // before oldest() have been dropped, always whole lines; end() is where the
  // next line will be.
  uint64_t oldest() const EXCLUDES(mutex_);
  uint64_t end() const EXCLUDES(mutex_);

  // Some of the bytes in [offset, offset + size), from `offset` on: none at the
  // end, and none before oldest().
  std::string read(uint64_t offset, std::size_t size) const EXCLUDES(mutex_);

  // How many lines end at or before `offset`, since the mount began.
  // REQUIRES: oldest() <= offset <= end(); else that of the nearest of these.
  uint64_t lines_before(uint64_t offset) const EXCLUDES(mutex_);

  // Calls `callback` with every new event, after it can be read, outside the
  // log's lock, but inside whatever the reporter holds: it must not block or
  // report. There is no way to unsubscribe: what it uses must outlive the last
  // event.
  void subscribe(std::function<void(const Event&)> callback) EXCLUDES(mutex_);

 private:
  uint64_t end_locked() const REQUIRES(mutex_);
  void drop_oldest_lines() REQUIRES(mutex_);
  void keep_error(const std::string& text) REQUIRES(mutex_);

  const std::function<void(bool, const std::string&)> log_;
  mutable Mutex mutex_;
  std::string stream_ GUARDED_BY(mutex_);
  uint64_t stream_begin_ GUARDED_BY(mutex_) = 0;
  uint64_t dropped_lines_ GUARDED_BY(mutex_) = 0;
  std::string errors_ GUARDED_BY(mutex_);
  std::vector<std::function<void(const Event&)>> callbacks_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// The last events and errors of this mount, kept in memory for the files
// .control/events and .control/errors, and passed on to the log. Thread-safe.
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
  // `log`: where each line also goes (syslog or stderr), one call a line.
  explicit EventLog(std::function<void(bool is_error, const std::string&)> log);
  ~EventLog() override;

  void on_event(const Event& event) override EXCLUDES(mutex_);

  // Adds to the text of .control/errors. `text` may have several lines.
  void add_error(const std::string& text) EXCLUDES(mutex_);

  // The text of .control/errors, newest last.
  std::string errors() const EXCLUDES(mutex_);

  // The event lines as one stream of bytes that began with the mount. Bytes
  // before oldest() have been dropped; end() is where the next line will be.
  uint64_t oldest() const EXCLUDES(mutex_);
  uint64_t end() const EXCLUDES(mutex_);
  std::string read(uint64_t offset, std::size_t size) const EXCLUDES(mutex_);

  // Calls `callback` after every new event, outside the log's lock.
  void subscribe(std::function<void()> callback) EXCLUDES(mutex_);

 private:
  std::function<void(bool, const std::string&)> log_;
  mutable Mutex mutex_;
  std::string stream_ GUARDED_BY(mutex_);
  uint64_t stream_begin_ GUARDED_BY(mutex_) = 0;
  std::string errors_ GUARDED_BY(mutex_);
  std::vector<std::function<void()>> callbacks_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

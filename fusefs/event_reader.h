// SPDX-License-Identifier: MIT
//
// The event stream as one open file sees it: by offset, so that tools which
// seek back find what they have read. A reader that fell behind gets one line
// that says how many it lost, and goes on with the oldest that is kept.
// Externally synchronised.
#pragma once

#include <cstdint>
#include <string>

#include "fusefs/event_log.h"

namespace snapfs {

class EventReader {
 public:
  // Offset 0 of the file is `base` of the stream. `log` must outlive this.
  EventReader(const EventLog& log, uint64_t base);

  // Some bytes from `offset` on; none if there are none yet.
  std::string read(uint64_t offset, std::size_t size);

  // Would a read from `offset` on find something?
  bool has_data_at(uint64_t offset) const;

  // Is there anything behind the last byte that has been read?
  bool has_more() const;

 private:
  void begin_notice(uint64_t offset, uint64_t position);
  void advance(uint64_t position, const std::string& text);

  const EventLog& log_;
  uint64_t base_;             // modulo 2^64: stream position = base_ + offset
  uint64_t high_;             // position behind what has been read
  uint64_t lines_read_;       // lines of the stream that end before high_
  bool inside_line_ = false;  // what was read last did not end a line
  std::string notice_;        // of lost lines; lies in the file at notice_at_
  uint64_t notice_at_ = 0;
};

}  // namespace snapfs

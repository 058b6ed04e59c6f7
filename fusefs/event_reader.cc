// SPDX-License-Identifier: MIT
#include "fusefs/event_reader.h"

#include <algorithm>

namespace snapfs {
namespace {

bool is_before(uint64_t position, uint64_t other) {
  return static_cast<int64_t>(position - other) < 0;
}

}  // namespace

EventReader::EventReader(const EventLog& log, uint64_t base)
    : log_(log),
      base_(base),
      high_(base),
      // A base that has been dropped can only be 0, where the mount began.
      lines_read_(base == 0 ? 0 : log.lines_before(base)) {}

std::string EventReader::read(uint64_t offset, std::size_t size) {
  if (offset - notice_at_ < notice_.size()) {
    return notice_.substr(offset - notice_at_, size);
  }
  uint64_t position = base_ + offset;
  std::string text = log_.read(position, size);
  if (!text.empty()) {
    advance(position, text);
    return text;
  }
  if (!is_before(position, log_.oldest())) return {};
  begin_notice(offset, position);
  return notice_.substr(0, size);
}

bool EventReader::has_data_at(uint64_t offset) const {
  return offset - notice_at_ < notice_.size() ||
         is_before(base_ + offset, log_.end());
}

bool EventReader::has_more() const { return is_before(high_, log_.end()); }

void EventReader::begin_notice(uint64_t offset, uint64_t position) {
  uint64_t oldest = log_.oldest();
  uint64_t known = log_.lines_before(oldest);
  // Who seeks back to lines that have gone since has read them once.
  std::string count =
      is_before(position, high_) ? "some" : std::to_string(known - lines_read_);
  notice_.clear();
  if (inside_line_) notice_.push_back('\n');
  notice_ += EventLog::line("lost", "-", count + " earlier lines");
  notice_at_ = offset;
  base_ = oldest - (offset + notice_.size());
  high_ = oldest;
  lines_read_ = known;
  inside_line_ = false;
}

void EventReader::advance(uint64_t position, const std::string& text) {
  uint64_t end = position + text.size();
  if (!is_before(high_, end)) return;
  if (is_before(high_, position)) {
    lines_read_ = log_.lines_before(end);
  } else {
    auto fresh = text.begin() + static_cast<std::ptrdiff_t>(high_ - position);
    lines_read_ += static_cast<uint64_t>(std::count(fresh, text.end(), '\n'));
  }
  high_ = end;
  inside_line_ = text.back() != '\n';
}

}  // namespace snapfs

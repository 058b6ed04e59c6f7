// SPDX-License-Identifier: MIT
#include "fusefs/event_log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <utility>

namespace snapfs {
namespace {

std::string utc_now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  std::array<char, 64> text;
  std::size_t length =
      std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 16> fraction;
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ",
                static_cast<int>(now.tv_nsec / 1'000'000));
  return std::string(text.data(), length) + fraction.data();
}

// A reader takes lines, so an event must be one.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string rest_of_line(const std::string& kind, const std::string& device,
                         const std::string& text) {
  return kind + " " + (device.empty() ? "-" : one_line(device)) + " " +
         one_line(text);
}

bool is_error(EventKind kind) {
  switch (kind) {
    case EventKind::load:
    case EventKind::wait:
    case EventKind::clear:
    case EventKind::freeze:
    case EventKind::handover:
    case EventKind::resume:
    case EventKind::remove:
    case EventKind::merge:
    case EventKind::revert:
    case EventKind::usage:
    case EventKind::grow:
      return false;
    case EventKind::refuse:
    case EventKind::merge_failed:
    case EventKind::revert_failed:
    case EventKind::invalid:
    case EventKind::overflow:
    case EventKind::full:
    case EventKind::error:
      return true;
  }
  return true;
}

// Drops whole lines from the front until at most `limit` bytes are left.
// Returns how many bytes went.
std::size_t bytes_to_drop(const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return 0;
  std::size_t newline = text.find('\n', text.size() - limit - 1);
  return newline == std::string::npos ? text.size() : newline + 1;
}

}  // namespace

EventLog::EventLog(std::function<void(bool, const std::string&)> log)
    : log_(std::move(log)) {}

EventLog::~EventLog() = default;

std::string EventLog::line(const std::string& kind, const std::string& device,
                           const std::string& text) {
  return utc_now() + " " + rest_of_line(kind, device, text) + "\n";
}

void EventLog::on_event(const Event& event) {
  std::string rest =
      rest_of_line(to_string(event.kind), event.device, event.text);
  std::vector<std::function<void(const Event&)>> callbacks;
  {
    MutexLock lock(mutex_);
    stream_ += line(to_string(event.kind), event.device, event.text);
    drop_oldest_lines();
    // Whoever refuses a table adds the whole text, with its place, itself.
    if (is_error(event.kind) && event.kind != EventKind::refuse) {
      keep_error(event.device.empty() ? event.text
                                      : event.device + ": " + event.text);
    }
    callbacks = callbacks_;
  }
  log_(is_error(event.kind), rest);
  for (const std::function<void(const Event&)>& callback : callbacks)
    callback(event);
}

void EventLog::add_error(const std::string& text) {
  {
    MutexLock lock(mutex_);
    keep_error(text);
  }
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(text.find('\n', begin), text.size());
    log_(true, text.substr(begin, end - begin));
    begin = end + 1;
  }
}

void EventLog::keep_error(const std::string& text) {
  errors_ += text;
  if (errors_.empty() || errors_.back() != '\n') errors_ += '\n';
  errors_.erase(0, bytes_to_drop(errors_, kErrorBytes));
}

void EventLog::drop_oldest_lines() {
  if (stream_.size() <= kStreamBytes) return;
  // An eighth more than needed, so that not every event moves a megabyte.
  std::size_t count = bytes_to_drop(stream_, kStreamBytes - kStreamBytes / 8);
  auto cut = stream_.begin() + static_cast<std::ptrdiff_t>(count);
  dropped_lines_ +=
      static_cast<uint64_t>(std::count(stream_.begin(), cut, '\n'));
  stream_.erase(stream_.begin(), cut);
  stream_begin_ += count;
}

std::string EventLog::errors() const {
  MutexLock lock(mutex_);
  return errors_;
}

uint64_t EventLog::end_locked() const { return stream_begin_ + stream_.size(); }

uint64_t EventLog::oldest() const {
  MutexLock lock(mutex_);
  return stream_begin_;
}

uint64_t EventLog::end() const {
  MutexLock lock(mutex_);
  return end_locked();
}

std::string EventLog::read(uint64_t offset, std::size_t size) const {
  MutexLock lock(mutex_);
  if (offset < stream_begin_ || offset >= end_locked()) return {};
  return stream_.substr(offset - stream_begin_, size);
}

uint64_t EventLog::lines_before(uint64_t offset) const {
  MutexLock lock(mutex_);
  uint64_t inside = std::clamp(offset, stream_begin_, end_locked());
  auto cut =
      stream_.begin() + static_cast<std::ptrdiff_t>(inside - stream_begin_);
  return dropped_lines_ +
         static_cast<uint64_t>(std::count(stream_.begin(), cut, '\n'));
}

void EventLog::subscribe(std::function<void(const Event&)> callback) {
  MutexLock lock(mutex_);
  callbacks_.push_back(std::move(callback));
}

}  // namespace snapfs

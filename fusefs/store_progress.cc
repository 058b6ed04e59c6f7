// SPDX-License-Identifier: MIT
#include "fusefs/store_progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace snapfs {
namespace {

constexpr std::chrono::milliseconds kInterval{100};

unsigned terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return 80;
  return size.ws_col;
}

void print(const std::string& text) { std::fputs(text.c_str(), stderr); }

}  // namespace

StoreProgress::StoreProgress(const std::string& name, bool always)
    : prefix_(name + ": "),
      always_(always),
      is_terminal_(::isatty(STDERR_FILENO) == 1) {}

void StoreProgress::show_records(uint64_t records) {
  if (!is_terminal_ || !is_time()) return;
  print("\r" + prefix_ + std::to_string(records) + " records\033[K");
  has_line_ = true;
}

void StoreProgress::show_bytes(uint64_t done, uint64_t total) {
  const MergeStatus status{MergeStatus::Phase::running, done, total, ""};
  if (is_terminal_) {
    pace_.note(Clock::now(), done);
    if (!is_time()) return;
    const auto taken = static_cast<unsigned>(prefix_.size());
    const unsigned columns = std::max(terminal_columns(), taken + 20);
    print("\r" + prefix_ + merge_bar(status, pace_.rate(), columns - taken) +
          "\033[K");
    has_line_ = true;
    return;
  }
  const uint64_t percent =
      total == 0 ? 100
                 : static_cast<uint64_t>(100.0 * static_cast<double>(done) /
                                         static_cast<double>(total));
  if (!always_ || percent == percent_) return;
  percent_ = percent;
  print(prefix_ + merge_line(status, std::nullopt) + "\n");
}

void StoreProgress::clear() {
  if (has_line_) print("\r\033[K");
  has_line_ = false;
}

bool StoreProgress::is_time() {
  const auto now = Clock::now();
  if (shown_ && now - *shown_ < kInterval) return false;
  shown_ = now;
  return true;
}

}  // namespace snapfs

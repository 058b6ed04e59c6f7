// SPDX-License-Identifier: MIT
#include "fusefs/merge_progress.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <sstream>

namespace snapfs {
namespace {

constexpr std::chrono::seconds kPaceWindow{5};
constexpr std::chrono::milliseconds kPaceMinimum{500};

constexpr unsigned kWidestBar = 40;
constexpr unsigned kNarrowestBar = 8;

std::string in_bytes(double bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s",
                bytes, kUnits[unit]);
  return text.data();
}

std::string in_time(double seconds) {
  const auto whole = static_cast<uint64_t>(std::ceil(seconds));
  std::array<char, 64> text{};
  if (whole < 60) {
    std::snprintf(text.data(), text.size(), "%u s",
                  static_cast<unsigned>(whole));
  } else if (whole < 3600) {
    std::snprintf(text.data(), text.size(), "%u min %02u s",
                  static_cast<unsigned>(whole / 60),
                  static_cast<unsigned>(whole % 60));
  } else {
    std::snprintf(text.data(), text.size(), "%llu h %02u min",
                  static_cast<unsigned long long>(whole / 3600),
                  static_cast<unsigned>(whole / 60 % 60));
  }
  return text.data();
}

double share(const MergeStatus& status) {
  if (status.total == 0) return 1;
  return static_cast<double>(status.merged) / static_cast<double>(status.total);
}

MergeStatus::Phase phase_of(const std::string& word) {
  if (word == "suspended") return MergeStatus::Phase::suspended;
  if (word == "failed") return MergeStatus::Phase::failed;
  return MergeStatus::Phase::running;
}

// A value may stand between quotes.
std::string unquoted(const std::string& text) {
  const bool is_quoted =
      text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return is_quoted ? text.substr(1, text.size() - 2) : text;
}

MergeStatus read_status(const std::string& status, const std::string& what,
                        const std::string& done) {
  std::istringstream lines(status);
  MergeStatus result;
  result.phase = MergeStatus::Phase::running;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(0, colon);
    const std::string value = line.substr(colon + 2);
    if (key == what) result.phase = phase_of(value);
    if (key == what + "_total_bytes") result.total = std::stoull(value);
    if (key == done) result.merged = std::stoull(value);
    if (key == "reason") result.reason = unquoted(value);
  }
  return result;
}

}  // namespace

MergeStatus read_merge_status(const std::string& status) {
  if (status.substr(0, status.find('\n')).find(" snapshot-merge ") ==
      std::string::npos) {
    return {};
  }
  return read_status(status, "merge", "merge_merged_bytes");
}

MergeStatus read_revert_status(const std::string& status) {
  if (status.find("\nrevert: ") == std::string::npos) return {};
  return read_status(status, "revert", "revert_reverted_bytes");
}

void MergePace::note(Clock::time_point now, uint64_t merged) {
  samples_.emplace_back(now, merged);
  while (samples_.size() > 2 && now - samples_[1].first >= kPaceWindow)
    samples_.pop_front();
}

std::optional<double> MergePace::rate() const {
  if (samples_.size() < 2) return std::nullopt;
  const auto& [begin, before] = samples_.front();
  const auto& [end, now] = samples_.back();
  if (end - begin < kPaceMinimum || now < before) return std::nullopt;
  return static_cast<double>(now - before) /
         std::chrono::duration<double>(end - begin).count();
}

std::string merge_line(const MergeStatus& status, std::optional<double> rate) {
  // Rounded down: 100 % is all of it.
  std::string text =
      std::to_string(static_cast<unsigned>(share(status) * 100)) + " %, " +
      in_bytes(static_cast<double>(status.merged)) + " of " +
      in_bytes(static_cast<double>(status.total));
  if (status.phase == MergeStatus::Phase::suspended)
    return text + ", suspended";
  if (!rate) return text;
  text += ", " + in_bytes(*rate) + "/s";
  if (*rate < 1 || status.merged >= status.total) return text;
  return text + ", " +
         in_time(static_cast<double>(status.total - status.merged) / *rate) +
         " left";
}

std::string merge_bar(const MergeStatus& status, std::optional<double> rate,
                      unsigned columns) {
  std::string line = merge_line(status, rate);
  // "[###   ] " around it, and the last column stays free.
  const std::size_t taken = line.size() + 4;
  if (columns < taken + kNarrowestBar) return line.substr(0, columns - 1);
  const std::size_t width = std::min<std::size_t>(columns - taken, kWidestBar);
  const auto done =
      static_cast<std::size_t>(share(status) * static_cast<double>(width));
  return "[" + std::string(done, '#') + std::string(width - done, ' ') + "] " +
         line;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// How far a merge, or a revert, is, in words: from the texts of its status file
// to what is printed. Stateless but for MergePace; one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

namespace snapfs {

struct MergeStatus {
  enum class Phase { running, suspended, failed, ended };
  Phase phase = Phase::ended;  // ended: it is no snapshot-merge any more
  uint64_t merged = 0;         // bytes
  uint64_t total = 0;
  std::string reason;  // of a failure
};

// `status`: the text of .control/status/NAME.
MergeStatus read_merge_status(const std::string& status);
// The same of an origin that may be reverted.
MergeStatus read_revert_status(const std::string& status);

// How fast it has been lately.
class MergePace {
 public:
  using Clock = std::chrono::steady_clock;

  void note(Clock::time_point now, uint64_t merged);
  // Bytes a second; nothing: not known yet.
  std::optional<double> rate() const;

 private:
  std::deque<std::pair<Clock::time_point, uint64_t>> samples_;
};

// "41 %, 12.3 MiB of 30.0 MiB, 4.0 MiB/s, 5 s left"
std::string merge_line(const MergeStatus& status, std::optional<double> rate);

// The same behind a bar, in at most `columns` (the bar goes first).
std::string merge_bar(const MergeStatus& status, std::optional<double> rate,
                      unsigned columns);

}  // namespace snapfs

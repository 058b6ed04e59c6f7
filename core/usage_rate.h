// SPDX-License-Identifier: MIT
//
// How fast a store fills, over the last minute or so. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace snapfs {

class UsageRate {
 public:
  using Clock = std::chrono::steady_clock;

  // So much is in use now. Should be called whenever that changes.
  void note(uint64_t used, Clock::time_point now) {
    if (!begun_) {
      begun_ = true;
      older_ = newer_ = {used, now};
    } else if (now - newer_.when >= kHalf) {
      // After a long silence what was before says nothing.
      older_ =
          now - newer_.when >= 2 * kHalf ? Sample{used_, now - kHalf} : newer_;
      newer_ = {used_, now};
    }
    used_ = used;
  }

  // Until `free` more are used, if it goes on as it did; nothing if hardly
  // anything was used lately.
  std::optional<std::chrono::seconds> time_until(uint64_t free,
                                                 Clock::time_point now) const {
    if (!begun_ || now - newer_.when >= 2 * kHalf) return std::nullopt;
    const double taken = static_cast<double>(used_ - older_.used);
    const double seconds =
        std::chrono::duration<double>(now - older_.when).count();
    if (used_ <= older_.used || seconds < 1) return std::nullopt;
    const double left = static_cast<double>(free) * seconds / taken;
    if (left > kLongest) return std::nullopt;
    return std::chrono::seconds(static_cast<int64_t>(left));
  }

 private:
  static constexpr std::chrono::seconds kHalf{30};
  static constexpr double kLongest = 100.0 * 365 * 86400;  // seconds

  struct Sample {
    uint64_t used = 0;
    Clock::time_point when;
  };

  bool begun_ = false;
  uint64_t used_ = 0;
  Sample older_;  // where the rate is measured from: 30 to 60 seconds ago
  Sample newer_;
};

}  // namespace snapfs

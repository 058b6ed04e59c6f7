// SPDX-License-Identifier: MIT
//
// Waiting for what another thread will do: for the thing itself, not for time.
#pragma once

#include <chrono>
#include <stdexcept>
#include <thread>

namespace snapfs::test {

// How long a test waits for what takes no time, on a machine that is busy with
// others and under a sanitizer.
inline constexpr std::chrono::seconds kPatience{120};

// Returns when `condition()` holds. Throws std::runtime_error when that has
// taken too long, so that a test fails, not hangs.
template <typename Condition>
void eventually(const Condition& condition) {
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error("what was waited for has not happened");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

// For what must not happen now: lets whoever could do it do it.
inline void give_others_time() {
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
}

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Waiting for what another thread will do: for the thing itself, not for time.
#pragma once

#include <chrono>
#include <stdexcept>
#include <thread>

namespace snapfs::test {

// Returns when `condition()` holds. Throws std::runtime_error after 30 seconds,
// so that a test fails, not hangs.
template <typename Condition>
void eventually(const Condition& condition) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error("what was waited for has not happened");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Lets a second request come at one device operation of a first one, and never
// depends on time: that the other thread is blocked is seen from the kernel's
// state of it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

namespace snapfs::test {

class Interleaving {
 public:
  enum class Second {
    // Goes on until it has been answered, or waits for the first.
    runs,
    // Stands still in its first transfer until the first has been answered, or
    // waits for it.
    stands,
  };

  // `second` begins before transfer number `at` (from 0) of the thread that
  // constructs this.
  Interleaving(uint64_t at, Second kind, std::function<void()> second);
  ~Interleaving() { finish(); }
  Interleaving(const Interleaving&) = delete;
  Interleaving& operator=(const Interleaving&) = delete;

  // Of each transfer, in the thread that does it.
  void before_transfer();

  // The first has been answered: waits for the second. False: it never began.
  bool finish();

 private:
  void begin_second();

  const uint64_t at_;
  const Second kind_;
  const std::function<void()> second_;
  const pid_t first_;
  uint64_t count_ = 0;
  std::thread thread_;
  std::atomic<pid_t> second_thread_{0};
  std::atomic<bool> first_goes_on_{true};
  std::atomic<bool> first_is_done_{false};
  std::atomic<bool> second_stands_{false};
  std::atomic<bool> has_stood_{false};
  std::atomic<bool> second_is_done_{false};
};

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Threads of a fixture, for requests that have to wait for the test. A test
// that fails leaves its own variables behind while they still run, so what they
// write to is here or in the fixture.
//
//   const std::atomic<bool>& is_done = threads_.start([this] { ... });
//   EXPECT_FALSE(is_done);
//   ... let it go ...
//   eventually([&] { return is_done.load(); });
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/eventually.h"

namespace snapfs::test {

class TestThreads {
 public:
  TestThreads() = default;
  ~TestThreads() { join(); }
  TestThreads(const TestThreads&) = delete;
  TestThreads& operator=(const TestThreads&) = delete;

  // Returns when the thread has begun. The flag tells that `body` has returned,
  // and lives as long as this object.
  const std::atomic<bool>& start(std::function<void()> body) {
    Progress& progress = progress_.emplace_back();
    threads_.emplace_back([&progress, body = std::move(body)] {
      progress.has_begun = true;
      body();
      progress.is_done = true;
    });
    eventually([&] { return progress.has_begun.load(); });
    return progress.is_done;
  }

  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  struct Progress {
    std::atomic<bool> has_begun{false};
    std::atomic<bool> is_done{false};
  };

  std::deque<Progress> progress_;  // not moved when there are more of them
  std::vector<std::thread> threads_;
};

}  // namespace snapfs::test

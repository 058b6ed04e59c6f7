// SPDX-License-Identifier: MIT
#include "tests/powercut/interleaving.h"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <utility>

namespace snapfs::test {
namespace {

// The kernel's letter for what a thread is doing; '?' if there is none.
char state_of(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t end = line.rfind(')');
  return end == std::string::npos || end + 2 >= line.size() ? '?'
                                                            : line[end + 2];
}

// Until `is_over()`, or the thread sleeps. Being asleep for a moment in passing
// a lock is not waiting.
template <typename Condition>
void wait_while_running(pid_t thread, const Condition& is_over) {
  constexpr int kTimes = 6;
  for (int asleep = 0; asleep < kTimes && !is_over();) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    asleep = state_of(thread) == 'S' ? asleep + 1 : 0;
  }
}

}  // namespace

Interleaving::Interleaving(uint64_t at, Second kind,
                           std::function<void()> second)
    : at_(at), kind_(kind), second_(std::move(second)), first_(gettid()) {}

void Interleaving::before_transfer() {
  if (gettid() == first_) {
    if (count_++ == at_) begin_second();
    return;
  }
  if (gettid() != second_thread_ || kind_ != Second::stands ||
      has_stood_.exchange(true)) {
    return;
  }
  second_stands_ = true;
  while (!first_goes_on_) std::this_thread::yield();
  wait_while_running(first_, [&] { return first_is_done_.load(); });
}

void Interleaving::begin_second() {
  first_goes_on_ = false;
  thread_ = std::thread([this] {
    second_thread_ = gettid();
    second_();
    second_is_done_ = true;
  });
  while (second_thread_ == 0) std::this_thread::yield();
  wait_while_running(second_thread_, [&] {
    return second_is_done_.load() || second_stands_.load();
  });
  first_goes_on_ = true;
}

bool Interleaving::finish() {
  first_is_done_ = true;
  if (!thread_.joinable()) return second_thread_ != 0;
  thread_.join();
  return true;
}

}  // namespace snapfs::test

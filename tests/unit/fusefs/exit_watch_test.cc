// SPDX-License-Identifier: MIT
#include "fusefs/exit_watch.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <map>

#include "tests/support/eventually.h"

namespace snapfs {
namespace {

using test::eventually;
using Clock = std::chrono::steady_clock;

class ExitWatchTest : public ::testing::Test {
 protected:
  ~ExitWatchTest() override {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  // A process that does nothing until it is killed.
  pid_t start_child() {
    child_ = ::fork();
    if (child_ == 0) {
      ::pause();
      ::_exit(0);
    }
    return child_;
  }

  void call(const std::string& key) {
    MutexLock lock(mutex_);
    ++calls_[key];
  }
  int calls(const std::string& key) {
    MutexLock lock(mutex_);
    return calls_[key];
  }

  pid_t child_ = -1;
  Mutex mutex_;
  std::map<std::string, int> calls_ GUARDED_BY(mutex_);
  // So patient that it never calls but because a process has ended.
  ExitWatch watch_{[this](const std::string& key) { call(key); },
                   std::chrono::hours(1)};
};

TEST_F(ExitWatchTest, calls_when_the_process_has_ended) {
  const pid_t child = start_child();
  watch_.watch("x", child);
  ::kill(child, SIGKILL);
  eventually([&] { return calls("x") == 1; });
}

TEST_F(ExitWatchTest, does_not_wait_for_ever) {
  constexpr std::chrono::milliseconds kPatience{50};
  const Clock::time_point begin = Clock::now();
  ExitWatch impatient([this](const std::string& key) { call(key); }, kPatience);
  impatient.watch("x", ::getpid());
  eventually([&] { return calls("x") == 1; });
  EXPECT_GE(Clock::now() - begin, kPatience);
}

TEST_F(ExitWatchTest, does_not_call_what_was_forgotten) {
  const pid_t child = start_child();
  watch_.watch("x", child);
  watch_.forget("x");
  watch_.watch("y", child);
  ::kill(child, SIGKILL);
  eventually([&] { return calls("y") == 1; });
  EXPECT_EQ(0, calls("x"));
}

TEST_F(ExitWatchTest, calls_at_once_for_a_process_that_is_gone) {
  pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  watch_.watch("x", child);
  eventually([&] { return calls("x") == 1; });
}

}  // namespace
}  // namespace snapfs

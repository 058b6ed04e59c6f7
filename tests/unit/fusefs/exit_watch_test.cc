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
  int calls(const std::string& key) {
    MutexLock lock(mutex_);
    return calls_[key];
  }

  Mutex mutex_;
  std::map<std::string, int> calls_ GUARDED_BY(mutex_);
  ExitWatch watch_{[this](const std::string& key) {
    MutexLock lock(mutex_);
    ++calls_[key];
  }};
};

TEST_F(ExitWatchTest, calls_when_the_process_has_ended) {
  pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  Clock::time_point begin = Clock::now();
  watch_.watch("x", child);
  ::kill(child, SIGKILL);
  eventually([&] { return calls("x") == 1; });
  EXPECT_LT(Clock::now() - begin, ExitWatch::kPatience);
  ::waitpid(child, nullptr, 0);
}

TEST_F(ExitWatchTest, does_not_wait_for_ever) {
  Clock::time_point begin = Clock::now();
  watch_.watch("x", ::getpid());
  eventually([&] { return calls("x") == 1; });
  EXPECT_GE(Clock::now() - begin, ExitWatch::kPatience);
}

TEST_F(ExitWatchTest, does_not_call_what_was_forgotten) {
  watch_.watch("x", ::getpid());
  watch_.forget("x");
  watch_.watch("y", ::getpid());
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

// SPDX-License-Identifier: MIT
#include "fusefs/signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <future>

namespace snapfs {
namespace {

// Gives the test process its own signal settings back.
class Signals : public testing::Test {
 protected:
  Signals() {
    pthread_sigmask(SIG_SETMASK, nullptr, &mask_);
    block_daemon_signals();
  }
  ~Signals() override {
    signal(SIGPIPE, pipe_);
    signal(SIGXFSZ, file_size_);
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }

 private:
  sigset_t mask_;
  void (*pipe_)(int) = signal(SIGPIPE, SIG_DFL);
  void (*file_size_)(int) = signal(SIGXFSZ, SIG_DFL);
};

int taken_signal(int sent, bool before) {
  std::promise<int> promise;
  if (before) kill(getpid(), sent);
  SignalThread thread([&](int signal) { promise.set_value(signal); });
  if (!before) kill(getpid(), sent);
  auto future = promise.get_future();
  const auto state = future.wait_for(std::chrono::seconds(20));
  return state == std::future_status::ready ? future.get() : 0;
}

TEST_F(Signals, each_of_them_reaches_the_thread) {
  for (int signal : {SIGTERM, SIGINT, SIGHUP})
    EXPECT_EQ(taken_signal(signal, false), signal);
}

TEST_F(Signals, one_that_came_early_is_not_lost) {
  EXPECT_EQ(taken_signal(SIGTERM, true), SIGTERM);
}

TEST_F(Signals, early_one_can_be_seen) {
  EXPECT_FALSE(end_signal_pending());

  kill(getpid(), SIGHUP);
  EXPECT_FALSE(end_signal_pending());

  kill(getpid(), SIGTERM);
  EXPECT_TRUE(end_signal_pending());

  const sigset_t set = daemon_signals();
  int taken = 0;
  sigwait(&set, &taken);
  sigwait(&set, &taken);
}

TEST_F(Signals, throwing_callback_does_not_end_the_thread) {
  testing::internal::CaptureStderr();
  std::promise<void> second;
  SignalThread thread([&](int signal) {
    if (signal == SIGTERM) throw std::runtime_error("no good");
    second.set_value();
  });

  kill(getpid(), SIGTERM);
  while (end_signal_pending()) std::this_thread::yield();
  kill(getpid(), SIGINT);

  EXPECT_EQ(second.get_future().wait_for(std::chrono::seconds(20)),
            std::future_status::ready);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "snapfs: no good\n");
}

TEST_F(Signals, closed_pipe_is_an_error_not_a_death) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);

  EXPECT_EQ(write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  close(ends[1]);
}

}  // namespace
}  // namespace snapfs

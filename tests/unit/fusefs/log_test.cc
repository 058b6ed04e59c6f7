// SPDX-License-Identifier: MIT
#include "fusefs/log.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <cerrno>
#include <cstdio>
#include <cwchar>
#include <string>
#include <thread>

#include "fusefs/fuse.h"

namespace snapfs {
namespace {

// libfuse ends its threads by cancelling them, and one of them may be about to
// say that it cannot read requests any more.

TEST(Log, libfuse_thread_that_is_cancelled_speaks_to_the_end) {
  take_libfuse_log();
  bool went_on = false;

  testing::internal::CaptureStderr();
  std::thread([&] {
    ::pthread_cancel(::pthread_self());
    fuse_log(FUSE_LOG_ERR, "the last words\n");
    went_on = true;
  }).join();

  EXPECT_TRUE(went_on);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "snapfs: the last words\n");
}

TEST(Log, libfuse_thread_that_is_cancelled_in_perror_leaves_stderr_unlocked) {
  take_libfuse_log();
  std::fwide(stderr, -1);  // else perror() prints to a stream of its own

  testing::internal::CaptureStderr();
  std::thread([] {
    ::pthread_cancel(::pthread_self());
    errno = ECONNABORTED;
    std::perror("fuse: reading device");
  }).join();
  testing::internal::GetCapturedStderr();

  ASSERT_EQ(::ftrylockfile(stderr), 0);
  ::funlockfile(stderr);
}

}  // namespace
}  // namespace snapfs

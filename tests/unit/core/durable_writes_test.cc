// SPDX-License-Identifier: MIT
#include "core/durable_writes.h"

#include <gtest/gtest.h>

#include <deque>
#include <future>
#include <memory>
#include <system_error>

#include "tests/support/counting_device.h"
#include "tests/support/eventually.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"

namespace snapfs::test {
namespace {

class DurableWritesTest : public testing::Test {
 protected:
  ~DurableWritesTest() override { below_->release(); }

  bool flushes() {
    return succeeds([&] { writes_.flush(device_); });
  }
  bool flushes_for_engine() {
    return succeeds([&] { writes_.flush_for_engine(device_); });
  }
  bool flushes_copies(uint64_t failures) {
    return succeeds([&] { writes_.flush_copies(device_, failures); });
  }

  // In one go with something else.
  bool flushes_by_the_way() {
    return succeeds([&] { writes_.flush_by([&] { device_.flush(); }); });
  }

  template <typename Call>
  static bool succeeds(const Call& call) {
    try {
      call();
      return true;
    } catch (const std::system_error&) {
      return false;
    }
  }

  std::future<bool>& begin_flush() {
    return begun_.emplace_back(
        std::async(std::launch::async, [this] { return flushes(); }));
  }
  std::future<bool>& begin_flush_for_engine() {
    return begun_.emplace_back(std::async(
        std::launch::async, [this] { return flushes_for_engine(); }));
  }

  // An error is told before what is held, or after it if it is late.
  std::shared_ptr<CountingDevice> below_ =
      std::make_shared<CountingDevice>(std::make_shared<MemoryDevice>(4096));
  FaultyDevice device_{below_};
  DurableWrites writes_;
  std::deque<std::future<bool>> begun_;
};

TEST_F(DurableWritesTest, an_error_stays_until_it_is_forgiven) {
  EXPECT_TRUE(flushes());
  device_.inject({.ops = kFlush});
  EXPECT_FALSE(flushes());
  EXPECT_FALSE(flushes());
  EXPECT_FALSE(flushes_for_engine());
  writes_.forgive();
  EXPECT_TRUE(flushes_for_engine());
  EXPECT_TRUE(flushes());
}

TEST_F(DurableWritesTest, what_the_engine_has_met_is_told_even_if_forgiven) {
  device_.inject({.ops = kFlush});
  EXPECT_FALSE(flushes_for_engine());
  writes_.forgive();
  EXPECT_TRUE(flushes_for_engine());
  EXPECT_FALSE(flushes());
  EXPECT_TRUE(flushes());
}

TEST_F(DurableWritesTest, copies_are_in_doubt_even_if_forgiven) {
  const uint64_t before = writes_.failures();
  device_.inject({.ops = kFlush});
  EXPECT_FALSE(flushes());
  writes_.forgive();
  EXPECT_FALSE(flushes_copies(before));
  EXPECT_TRUE(flushes_copies(writes_.failures()));
}

TEST_F(DurableWritesTest, of_flushes_at_once_all_fail_if_one_is_told) {
  below_->hold(kFlush);
  device_.inject({.ops = kFlush, .is_late = true});
  std::future<bool>& one = begin_flush();
  std::future<bool>& other = begin_flush();
  std::future<bool>& engine = begin_flush_for_engine();
  below_->wait_until_held(kFlush, 3);

  below_->release();

  EXPECT_FALSE(one.get());
  EXPECT_FALSE(other.get());
  EXPECT_FALSE(engine.get());
}

// It has been told, but is not back yet.
TEST_F(DurableWritesTest, a_flush_waits_for_what_earlier_ones_are_told) {
  device_.inject({.ops = kFlush});
  device_.set_on_failed_flush([&] {
    begin_flush();
    begin_flush_for_engine();
    eventually([&] { return below_->counts().flushes == 2; });
  });

  EXPECT_FALSE(flushes());

  for (std::future<bool>& later : begun_) EXPECT_FALSE(later.get());
}

TEST_F(DurableWritesTest, a_flush_under_way_fails_even_if_that_is_forgiven) {
  below_->hold(kFlush);
  std::future<bool>& user = begin_flush();
  std::future<bool>& engine = begin_flush_for_engine();
  below_->wait_until_held(kFlush, 2);
  device_.inject({.ops = kFlush});
  EXPECT_FALSE(flushes());
  writes_.forgive();

  below_->release();

  EXPECT_FALSE(user.get());
  EXPECT_FALSE(engine.get());
  EXPECT_TRUE(flushes());
}

TEST_F(DurableWritesTest, what_was_met_by_the_way_is_told_to_all) {
  below_->hold(kFlush);
  std::future<bool>& user = begin_flush();
  below_->wait_until_held(kFlush, 1);
  device_.inject({.ops = kFlush});

  EXPECT_FALSE(flushes_by_the_way());

  below_->release();
  EXPECT_FALSE(user.get());
  EXPECT_FALSE(flushes_for_engine());
}

TEST_F(DurableWritesTest, by_the_way_only_what_fails_meanwhile_counts) {
  device_.inject({.ops = kFlush});
  EXPECT_FALSE(flushes());
  EXPECT_TRUE(flushes_by_the_way());
  writes_.forgive();
  EXPECT_FALSE(succeeds([&] {
    writes_.flush_by([&] {
      device_.inject({.ops = kFlush});
      EXPECT_FALSE(flushes());
      writes_.forgive();
    });
  }));
  EXPECT_TRUE(flushes());
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "core/durable_writes.h"

#include <gtest/gtest.h>

#include <memory>
#include <system_error>

#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"

namespace snapfs::test {
namespace {

class DurableWritesTest : public testing::Test {
 protected:
  bool flushes() {
    return succeeds([&] { writes_.flush(device_); });
  }
  bool flushes_for_engine() {
    return succeeds([&] { writes_.flush_for_engine(device_); });
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

  FaultyDevice device_{std::make_shared<MemoryDevice>(4096)};
  DurableWrites writes_;
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

}  // namespace
}  // namespace snapfs::test

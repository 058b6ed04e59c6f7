// SPDX-License-Identifier: MIT
#include "core/device.h"

#include <gtest/gtest.h>

namespace snapfs::test {
namespace {

TEST(Device, a_device_without_a_target_is_removed) {
  Device device("d");

  EXPECT_EQ(device.name(), "d");
  EXPECT_EQ(device.live(), nullptr);
  EXPECT_EQ(device.live_table(), nullptr);
  EXPECT_EQ(device.next_table(), nullptr);
  EXPECT_EQ(device.state_text(), "removed\n");
}

TEST(Device, users_are_counted) {
  Device device("d");

  EXPECT_TRUE(device.try_open());
  EXPECT_TRUE(device.try_open());
  EXPECT_EQ(device.open_count(), 2u);
  device.closed();

  EXPECT_EQ(device.open_count(), 1u);
}

}  // namespace
}  // namespace snapfs::test

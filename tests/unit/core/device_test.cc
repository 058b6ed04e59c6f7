// SPDX-License-Identifier: MIT
#include "core/device.h"

#include <gtest/gtest.h>

#include <memory>

#include "core/device_set.h"
#include "tests/support/memory_opener.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

TEST(Device, a_device_that_is_not_live_cannot_be_opened) {
  Device device("d");

  EXPECT_EQ(device.name(), "d");
  EXPECT_EQ(device.live(), nullptr);
  EXPECT_EQ(device.live_table(), nullptr);
  EXPECT_EQ(device.next_table(), nullptr);
  EXPECT_EQ(device.state(), DeviceState::loaded);
  EXPECT_FALSE(device.try_open());
}

TEST(Device, users_are_counted) {
  MemoryOpener opener;
  EventRecorder events;
  opener.add("disk", 4096);
  DeviceSet set(opener, events);
  set.load({origin_table("d", "disk")});
  std::shared_ptr<Device> device = set.find("d");

  EXPECT_TRUE(device->try_open());
  EXPECT_TRUE(device->try_open());
  EXPECT_EQ(device->open_count(), 2u);
  device->closed();

  EXPECT_EQ(device->open_count(), 1u);
}

}  // namespace
}  // namespace snapfs::test

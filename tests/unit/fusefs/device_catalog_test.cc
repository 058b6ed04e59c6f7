// SPDX-License-Identifier: MIT
//
// Which devices the tree shows, and who has them open.
#include "fusefs/device_catalog.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include "core/device_set.h"
#include "fusefs/event_log.h"
#include "fusefs/tree_context.h"
#include "tests/support/memory_opener.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

class Catalog : public ::testing::Test {
 protected:
  Catalog() {
    opener_.add("/a", 1 << 20);
    opener_.add("/b", 1 << 20);
    devices_.load({origin_table("a", "/a"), origin_table("b", "/b")});
  }

  EventLog events_{[](bool, const std::string&) {}};
  MemoryOpener opener_;
  DeviceSet devices_{opener_, events_};
  TreeContext context_{events_, {}};
  DeviceCatalog catalog_{context_, devices_};
};

TEST_F(Catalog, device_has_one_node) {
  std::shared_ptr<DeviceNode> node = catalog_.find("a");
  ASSERT_NE(nullptr, node);
  EXPECT_EQ(node, catalog_.list().front());
  EXPECT_EQ(node, catalog_.find("a"));
  EXPECT_EQ(nullptr, catalog_.find("c"));
}

TEST_F(Catalog, device_that_is_made_again_has_another_node) {
  std::shared_ptr<DeviceNode> node = catalog_.find("a");
  devices_.remove("a");
  EXPECT_EQ(nullptr, catalog_.find("a"));
  devices_.load({origin_table("a", "/a")});
  ASSERT_NE(nullptr, catalog_.find("a"));
  EXPECT_NE(node->inode(), catalog_.find("a")->inode());
}

TEST_F(Catalog, hidden_device_is_neither_found_nor_opened) {
  std::shared_ptr<DeviceNode> node = catalog_.find("a");
  catalog_.hide("a");
  EXPECT_EQ(nullptr, catalog_.find("a"));
  EXPECT_EQ(1U, catalog_.list().size());
  EXPECT_THROW(catalog_.open(*node), std::system_error);
  EXPECT_EQ(0U, node->device().open_count());
  catalog_.show("a");
  EXPECT_EQ(node, catalog_.find("a"));
  catalog_.open(*node);
  catalog_.close(*node);
}

TEST_F(Catalog, open_device_cannot_be_hidden) {
  std::shared_ptr<DeviceNode> node = catalog_.find("a");
  catalog_.open(*node);
  EXPECT_THROW(catalog_.hide("a"), std::system_error);
  EXPECT_EQ(node, catalog_.find("a"));
  catalog_.close(*node);
  EXPECT_NO_THROW(catalog_.hide("a"));
}

TEST_F(Catalog, removed_device_cannot_be_opened) {
  std::shared_ptr<DeviceNode> node = catalog_.find("a");
  devices_.remove("a");
  EXPECT_THROW(catalog_.open(*node), std::system_error);
}

TEST_F(Catalog, close_that_is_on_its_way_is_waited_for) {
  std::shared_ptr<DeviceNode> node = catalog_.find("a");
  // It waits for a short time, which a busy machine may let pass now and then.
  bool was_waited_for = false;
  for (int i = 0; i < 50 && !was_waited_for; ++i) {
    catalog_.open(*node);
    std::thread closer([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      catalog_.close(*node);
    });
    catalog_.wait_for_release("a");
    was_waited_for = node->device().open_count() == 0;
    closer.join();
  }
  EXPECT_TRUE(was_waited_for);
}

TEST_F(Catalog, file_that_stays_open_is_not_waited_for) {
  std::shared_ptr<DeviceNode> node = catalog_.find("a");
  catalog_.open(*node);
  catalog_.wait_for_release("a");
  EXPECT_EQ(1U, node->device().open_count());
  catalog_.close(*node);
}

}  // namespace
}  // namespace snapfs::test

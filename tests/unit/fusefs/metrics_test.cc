// SPDX-License-Identifier: MIT
#include "fusefs/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "core/device_set.h"
#include "tests/support/eventually.h"
#include "tests/support/memory_opener.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MetricsTest : public ::testing::Test {
 protected:
  MetricsTest() {
    opener_.add("/origin", 1 << 20);
    opener_.add("/cow", 1 << 20);
    devices_ = std::make_unique<DeviceSet>(opener_, events_);
    devices_->load(
        {origin_table("base", "/origin"),
         snapshot_table("snap", "base", "/cow", StoreType::persistent, 8)});
  }

  std::string text() const { return metrics_text(devices_->devices()); }

  MemoryOpener opener_;
  EventRecorder events_;
  std::unique_ptr<DeviceSet> devices_;
};

TEST_F(MetricsTest, amounts_are_those_of_the_status_line) {
  std::array<std::byte, 512> sector{};
  devices_->find("snap")->live()->write(0, sector);
  devices_->find("snap")->live()->write(300000, sector);

  // Two chunks of data; of the first area and the header a chunk each.
  EXPECT_THAT(text(),
              HasSubstr("\nsnapfs_cow_used_bytes{device=\"snap\"} 16384\n"));
  EXPECT_THAT(text(),
              HasSubstr("\nsnapfs_cow_metadata_bytes{device=\"snap\"} 8192\n"));
  EXPECT_THAT(text(), HasSubstr("\nsnapfs_exceptions{device=\"snap\"} 2\n"));
  EXPECT_THAT(text(), HasSubstr("\nsnapfs_invalid{device=\"snap\"} 0\n"));
}

TEST_F(MetricsTest, a_merge_tells_how_much_there_is_and_was) {
  std::array<std::byte, 512> sector{};
  devices_->find("snap")->live()->write(0, sector);
  devices_->find("snap")->live()->write(300000, sector);
  Table merge = merge_table("base", "/origin", "/cow");
  merge.activate = Activate::now;
  devices_->load({merge});
  EXPECT_THAT(text(), HasSubstr("\nsnapfs_merge_total_bytes{device=\"base\"}"
                                " 8192\n"));
  EXPECT_THAT(text(), HasSubstr("\nsnapfs_merge_merged_bytes{device=\"base\"}"
                                " 0\n"));
  EXPECT_THAT(text(), HasSubstr("\nsnapfs_exceptions{device=\"base\"} 2\n"));

  devices_->merge_step("base");
  EXPECT_THAT(text(), HasSubstr("\nsnapfs_merge_merged_bytes{device=\"base\"}"
                                " 8192\n"));
}

TEST_F(MetricsTest, when_a_cow_will_be_full_is_told_while_it_is_known) {
  std::array<std::byte, 512> sector{};
  uint64_t chunk = 0;
  EXPECT_THAT(text(), Not(HasSubstr("cow_full_in_seconds")));

  // It is that of a second at least.
  eventually([&] {
    if (chunk < 200)
      devices_->find("snap")->live()->write(4096 * chunk++, sector);
    return text().find("\nsnapfs_cow_full_in_seconds{device=\"snap\"} ") !=
           std::string::npos;
  });

  EXPECT_THAT(devices_->find("snap")->live()->details(),
              Not(HasSubstr("cow_full_in_seconds")));
}

TEST_F(MetricsTest, each_metric_is_described_once_before_its_samples) {
  const std::string expected =
      "# HELP snapfs_size_bytes Length of the device\n"
      "# TYPE snapfs_size_bytes gauge\n"
      "snapfs_size_bytes{device=\"base\"} 1048576\n"
      "snapfs_size_bytes{device=\"snap\"} 1048576\n"
      "# HELP ";
  EXPECT_THAT(text(), HasSubstr(expected));
}

TEST_F(MetricsTest, state_tells_target_and_state) {
  devices_->suspend("snap");

  EXPECT_THAT(text(), HasSubstr("\nsnapfs_state{device=\"base\","
                                "target=\"snapshot-origin\",state=\"live\"} "
                                "1\n"));
  EXPECT_THAT(text(), HasSubstr("\nsnapfs_state{device=\"snap\","
                                "target=\"snapshot\",state=\"suspended\"} "
                                "1\n"));
}

TEST_F(MetricsTest, device_that_only_waits_has_no_size) {
  Table table =
      snapshot_table("next", "base", "/cow", StoreType::persistent, 8);
  devices_->load({table});

  EXPECT_THAT(text(), HasSubstr("\nsnapfs_state{device=\"next\",target=\"\","
                                "state=\"waiting for snap\"} 1\n"));
  EXPECT_THAT(text(), Not(HasSubstr("snapfs_size_bytes{device=\"next\"}")));
}

TEST_F(MetricsTest, snapshot_without_its_store_is_invalid) {
  Table table =
      snapshot_table("next", "base", "/cow", StoreType::persistent, 8);
  table.activate = Activate::now;
  devices_->load({table});

  EXPECT_THAT(text(), HasSubstr("\nsnapfs_invalid{device=\"snap\"} 1\n"));
  EXPECT_THAT(text(), HasSubstr("\nsnapfs_invalid{device=\"next\"} 0\n"));
}

}  // namespace
}  // namespace snapfs::test

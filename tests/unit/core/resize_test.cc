// SPDX-License-Identifier: MIT
//
// Origins that grow while they are used, and the snapshots that follow them, or
// do not.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "core/device_set.h"
#include "core/error.h"
#include "tests/support/eventually.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kOldSectors = 2048 + 3;  // the last chunk is incomplete
constexpr uint64_t kNewSectors = 4096;
constexpr uint64_t kChunk = 8;
constexpr unsigned kOld = 1;
constexpr unsigned kNew = 2;
constexpr unsigned kOwn = 3;

class ResizeTest : public testing::Test {
 protected:
  ResizeTest() {
    stamp_device(*memory_, {0, kOldSectors * kSectorBytes}, kOld);
    opener_.add("origin", origin_);
    opener_.add("cow", 2 * kNewSectors * kSectorBytes);
    set_.load({origin_table("base", "origin"), snapshot(std::nullopt)});
  }

  Table snapshot(std::optional<uint64_t> sectors) {
    Table table =
        snapshot_table("snap", "base", "cow", StoreType::persistent, kChunk);
    snapshot_of(table).length_sectors = sectors;
    snapshot_of(table).commit_interval = std::chrono::hours(1);
    table.activate = Activate::now;
    return table;
  }
  Table base(std::optional<uint64_t> sectors) {
    Table table = origin_table("base", "origin");
    std::get<OriginTable>(table.target).length_sectors = sectors;
    return table;
  }

  // What was written there before shows through.
  void grow_origin() {
    memory_->set_size(kNewSectors * kSectorBytes);
    stamp_device(*memory_,
                 {kOldSectors * kSectorBytes,
                  (kNewSectors - kOldSectors) * kSectorBytes},
                 kOld);
    set_.load({base(std::nullopt)});
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_.find(name)->live();
  }
  uint64_t sectors(const std::string& name) {
    return target(name)->size() / kSectorBytes;
  }
  void write(const std::string& name, uint64_t first, uint64_t count,
             unsigned generation) {
    target(name)->write(first * kSectorBytes,
                        stamped(first, count, generation));
  }
  // "" or what is wrong.
  std::string difference(const std::string& name, uint64_t first,
                         uint64_t count, unsigned generation) {
    std::vector<std::byte> data(count * kSectorBytes);
    target(name)->read(first * kSectorBytes, data);
    return stamp_difference(data, first, generation);
  }
  std::string refusal(const Table& table) {
    try {
      set_.load({table});
    } catch (const TableError& error) {
      EXPECT_EQ(error.error(), EBUSY);
      return error.message();
    }
    return "";
  }

  EventRecorder events_;
  MemoryOpener opener_;
  std::shared_ptr<MemoryDevice> memory_ =
      std::make_shared<MemoryDevice>(kOldSectors * kSectorBytes, "origin");
  std::shared_ptr<FaultyDevice> origin_ =
      std::make_shared<FaultyDevice>(memory_);
  DeviceSet set_{opener_, events_};
};

TEST_F(ResizeTest, an_origin_grows_with_its_device) {
  std::shared_ptr<Device> device = set_.find("base");
  grow_origin();

  EXPECT_EQ(set_.find("base"), device);
  EXPECT_EQ(sectors("base"), kNewSectors);
  write("base", kNewSectors - 1, 1, kNew);
  EXPECT_EQ(difference("base", kNewSectors - 1, 1, kNew), "");
}

TEST_F(ResizeTest, a_snapshot_keeps_its_length_and_saves_no_more) {
  grow_origin();
  EXPECT_EQ(sectors("snap"), kOldSectors);
  const std::string status = target("snap")->status_line();
  write("base", kOldSectors + kChunk, 100, kNew);
  EXPECT_EQ(target("snap")->status_line(), status);

  write("base", 0, kOldSectors, kNew);
  EXPECT_EQ(difference("snap", 0, kOldSectors, kOld), "");
}

TEST_F(ResizeTest, a_longer_snapshot_shows_what_is_new_as_it_is) {
  grow_origin();
  write("base", 0, kNewSectors, kNew);

  set_.load({snapshot(kNewSectors)});

  EXPECT_EQ(sectors("snap"), kNewSectors);
  EXPECT_EQ(difference("snap", 0, kOldSectors, kOld), "");
  EXPECT_EQ(difference("snap", kOldSectors, kNewSectors - kOldSectors, kNew),
            "");
  write("base", 0, kNewSectors, kOwn);
  EXPECT_EQ(difference("snap", 0, kOldSectors, kOld), "");
  EXPECT_EQ(difference("snap", kOldSectors, kNewSectors - kOldSectors, kNew),
            "");
}

// Its exception was made when nothing was behind the origin's end.
TEST_F(ResizeTest, the_last_chunk_is_completed) {
  write("snap", kOldSectors - 1, 1, kOwn);
  grow_origin();

  set_.load({snapshot(kNewSectors)});

  EXPECT_EQ(difference("snap", kOldSectors - 3, 2, kOld), "");
  EXPECT_EQ(difference("snap", kOldSectors - 1, 1, kOwn), "");
  EXPECT_EQ(difference("snap", kOldSectors, 2 * kChunk, kOld), "");
}

TEST_F(ResizeTest, a_last_chunk_that_cannot_be_read_leaves_all_as_it_is) {
  write("snap", kOldSectors - 1, 1, kOwn);
  grow_origin();
  origin_->inject({.ops = kRead, .error = EIO});

  EXPECT_ANY_THROW(set_.load({snapshot(kNewSectors)}));

  set_.resume("base");
  EXPECT_EQ(sectors("snap"), kOldSectors);
  EXPECT_EQ(difference("snap", kOldSectors - 1, 1, kOwn), "");
  write("base", 0, 1, kNew);
}

// What a snapshot had of its own comes back when it is as long as before.
TEST_F(ResizeTest, a_shorter_snapshot_loses_nothing_of_its_own) {
  write("snap", 0, kOldSectors, kOwn);
  set_.load({snapshot(1001)});
  set_.load({snapshot(std::nullopt)});
  EXPECT_EQ(difference("snap", 0, kOldSectors, kOwn), "");
}

TEST_F(ResizeTest, an_origin_under_a_snapshot_is_not_shortened) {
  EXPECT_EQ(refusal(base(kOldSectors - 1)),
            "base cannot be shortened to 2050 sectors: its snapshot snap has "
            "2051");
  EXPECT_EQ(sectors("base"), kOldSectors);
  set_.load({snapshot(1000)});
  EXPECT_EQ(refusal(base(1000)), "");
  EXPECT_EQ(sectors("base"), 1000u);
}

TEST_F(ResizeTest, an_origin_without_snapshots_is_shortened) {
  set_.remove("snap");
  EXPECT_EQ(refusal(base(8)), "");
  EXPECT_EQ(sectors("base"), 8u);
}

TEST_F(ResizeTest, a_device_that_was_cut_off_costs_no_snapshot) {
  memory_->set_size(1024 * kSectorBytes);
  EXPECT_THROW(write("base", 1500, 8, kNew), std::system_error);
  EXPECT_THROW(write("snap", 1500, 8, kNew), std::system_error);
  EXPECT_EQ(target("snap")->status_line(), "0 2051 snapshot 16/8192 16");
}

}  // namespace
}  // namespace snapfs::test

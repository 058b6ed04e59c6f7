// SPDX-License-Identifier: MIT
//
// What copy-on-write costs, counted at the devices: flushes, reads and writes.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "core/device_set.h"
#include "tests/support/counting_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kOriginBytes = uint64_t{16} << 20;
constexpr uint64_t kMiB = uint64_t{1} << 20;

std::vector<std::byte> bytes(uint64_t count, int value) {
  // In braces they would be elements.
  // NOLINTNEXTLINE(modernize-return-braced-init-list)
  return std::vector<std::byte>(count, static_cast<std::byte>(value));
}

class BarrierCount : public testing::Test {
 protected:
  BarrierCount()
      : origin_(std::make_shared<CountingDevice>(
            std::make_shared<MemoryDevice>(kOriginBytes, "origin"))) {
    opener_.add("origin", origin_);
    set_.load({origin_table("base", "origin")});
  }

  // A snapshot `sN` with chunks of 4 KiB, unless told otherwise.
  CountingDevice& add_snapshot(uint64_t chunk_sectors = 8) {
    std::string number = std::to_string(cows_.size());
    cows_.push_back(std::make_shared<CountingDevice>(
        std::make_shared<MemoryDevice>(2 * kOriginBytes, "cow" + number)));
    opener_.add("cow" + number, cows_.back());
    Table table = snapshot_table("s" + number, "base", "cow" + number,
                                 StoreType::persistent, chunk_sectors);
    // The timer must not add a commit of its own.
    snapshot_of(table).commit_interval = std::chrono::hours(1);
    set_.load({table});
    reset();
    return *cows_.back();
  }

  void reset() {
    origin_->reset_counts();
    for (auto& cow : cows_) cow->reset_counts();
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_.find(name)->live();
  }

  MemoryOpener opener_;
  EventRecorder events_;
  std::shared_ptr<CountingDevice> origin_;
  std::vector<std::shared_ptr<CountingDevice>> cows_;
  DeviceSet set_{opener_, events_};
};

TEST_F(BarrierCount, unsynced_first_writes_to_a_snapshot_cost_no_flush) {
  CountingDevice& cow = add_snapshot();

  for (uint64_t i = 0; i < 100; ++i) {
    target("s0")->write(i * 3 * 4096, bytes(4096, 1));
  }

  EXPECT_EQ(cow.counts().barriers(), 0u);
  EXPECT_EQ(cow.counts().writes, 100u);
  EXPECT_EQ(origin_->counts().reads, 0u);
}

TEST_F(BarrierCount, a_flush_after_many_first_writes_costs_two_barriers) {
  CountingDevice& cow = add_snapshot();
  for (uint64_t i = 0; i < 200; ++i) {
    target("s0")->write(i * 4096, bytes(4096, 1));
  }

  target("s0")->flush();

  EXPECT_EQ(cow.counts().flushes, 1u);
  EXPECT_EQ(cow.counts().durable_writes, 1u);
}

TEST_F(BarrierCount, a_flush_with_nothing_to_record_is_one_flush) {
  CountingDevice& cow = add_snapshot();

  target("s0")->flush();

  EXPECT_EQ(cow.counts().barriers(), 1u);
}

TEST_F(BarrierCount, writers_that_arrive_while_a_flush_is_held_share_one) {
  constexpr unsigned kWriters = 64;
  constexpr unsigned kRecordsPerArea = 32;
  CountingDevice& cow = add_snapshot(1);
  auto base = target("base");
  // With these, the last writer's record is the one that fills the third area.
  for (unsigned i = 0; i < kRecordsPerArea - 1; ++i) {
    base->write(i * kSectorBytes, bytes(kSectorBytes, 9));
  }
  cow.hold(kFlush);
  std::thread first([&] { base->write(kMiB, bytes(kSectorBytes, 9)); });
  cow.wait_until_held(kFlush, 1);
  cow.reset_counts();

  std::vector<std::thread> writers;
  for (unsigned i = 1; i <= kWriters; ++i) {
    writers.emplace_back([&, i] {
      base->write(kMiB + i * kSectorBytes, bytes(kSectorBytes, 9));
    });
  }
  // The status counts an area when all of its records have been handed in.
  const std::string three_areas = " " + std::to_string(3 + 2);
  while (!target("s0")->status_line().ends_with(three_areas)) {
    std::this_thread::yield();
  }
  cow.release(kFlush);
  first.join();
  for (std::thread& writer : writers) writer.join();

  // The first writer's own record, then one flush and one record write for all.
  EXPECT_EQ(cow.counts().flushes, 1u);
  EXPECT_EQ(cow.counts().durable_writes, 2u);
}

TEST_F(BarrierCount,
       a_mebibyte_of_fresh_chunks_costs_two_flushes_and_one_read) {
  CountingDevice& cow = add_snapshot();

  target("base")->write(4 * kMiB, bytes(kMiB, 1));

  EXPECT_LE(cow.counts().barriers(), 2u);
  EXPECT_EQ(origin_->counts().reads, 1u);
  EXPECT_EQ(origin_->counts().read_bytes, kMiB);
  EXPECT_EQ(origin_->counts().writes, 1u);
  EXPECT_EQ(origin_->counts().flushes, 0u);
  // 255 chunks fit in front of the next metadata area.
  EXPECT_LE(cow.counts().writes, 3u);
}

TEST_F(BarrierCount, eight_snapshots_share_one_read_of_the_origin) {
  for (int i = 0; i < 8; ++i) add_snapshot(i % 2 == 0 ? 8 : 128);
  reset();

  target("base")->write(4 * kMiB, bytes(kMiB, 1));

  EXPECT_EQ(origin_->counts().reads, 1u);
  for (auto& cow : cows_) EXPECT_LE(cow->counts().barriers(), 2u);
}

TEST_F(BarrierCount, a_second_write_to_copied_chunks_costs_nothing_more) {
  CountingDevice& cow = add_snapshot();
  target("base")->write(0, bytes(kMiB, 1));
  reset();

  target("base")->write(0, bytes(kMiB, 2));

  EXPECT_EQ(cow.counts().barriers(), 0u);
  EXPECT_EQ(cow.counts().writes, 0u);
  EXPECT_EQ(origin_->counts().reads, 0u);
  EXPECT_EQ(origin_->counts().writes, 1u);
}

TEST_F(BarrierCount, an_origin_write_commits_what_a_snapshot_write_left) {
  CountingDevice& cow = add_snapshot();
  target("s0")->write(0, bytes(4096, 1));
  EXPECT_EQ(cow.counts().barriers(), 0u);

  target("base")->write(0, bytes(4096, 2));

  EXPECT_EQ(cow.counts().flushes, 1u);
  EXPECT_EQ(cow.counts().durable_writes, 1u);
  EXPECT_EQ(origin_->counts().reads, 0u);
}

TEST_F(BarrierCount, an_unbroken_run_is_read_in_one_piece) {
  CountingDevice& cow = add_snapshot();
  std::vector<std::byte> buffer(kMiB);

  target("s0")->read(2 * kMiB, buffer);

  EXPECT_EQ(origin_->counts().reads, 1u);
  EXPECT_EQ(cow.counts().reads, 0u);

  // Writing 128 chunks at a time: runs join, but not across the area at 258.
  for (uint64_t i = 0; i < 6; ++i) {
    target("s0")->write(4 * kMiB + i * kMiB / 2, bytes(kMiB / 2, 1));
  }
  reset();
  target("s0")->read(4 * kMiB + kMiB, {buffer.data(), kMiB - 4096});

  EXPECT_EQ(cow.counts().reads, 1u);
  EXPECT_EQ(origin_->counts().reads, 0u);
}

TEST_F(BarrierCount,
       a_small_write_copies_its_chunk_with_one_read_and_one_write) {
  CountingDevice& cow = add_snapshot(32);

  target("s0")->write(5000, bytes(100, 1));

  EXPECT_EQ(origin_->counts().reads, 1u);
  EXPECT_EQ(cow.counts().writes, 1u);
  EXPECT_EQ(cow.counts().write_bytes, 32u * kSectorBytes);
}

}  // namespace
}  // namespace snapfs::test

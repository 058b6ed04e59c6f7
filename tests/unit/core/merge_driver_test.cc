// SPDX-License-Identifier: MIT
#include "core/merge_driver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/device_set.h"
#include "core/error.h"
#include "core/merging_snapshot.h"
#include "tests/support/counting_device.h"
#include "tests/support/eventually.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/parked_thread.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kSectors = 4096;
constexpr unsigned kOld = 1;
constexpr unsigned kOwn = 2;

// An origin `base` whose snapshot `s` is about to be merged in the background.
class MergeDriverTest : public testing::Test {
 protected:
  MergeDriverTest() {
    stamp_device(*memory_, {0, kSectors * kSectorBytes}, kOld);
    opener_.add("origin", origin_);
    opener_.add("cow", 2 * kSectors * kSectorBytes);
    set_->load({origin_table("base", "origin"),
                snapshot_table("s", "base", "cow", StoreType::persistent, 8)});
    // Every second chunk: no two of them make a run.
    for (uint64_t first = 0; first < kSectors; first += 16) {
      target("s")->write(first * kSectorBytes, stamped(first, 8, kOwn));
    }
  }

  ~MergeDriverTest() override { origin_->release(); }

  void merge(uint64_t rate = 0) {
    Table table = merge_table("base", "origin", "cow");
    snapshot_of(table).merge->rate = rate;
    table.activate = Activate::now;
    set_->load({table});
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_->find(name)->live();
  }
  bool is_plain() {
    return target("base")->status_line() == "0 4096 snapshot-origin ";
  }
  uint64_t merged() {
    auto merging = std::dynamic_pointer_cast<MergingSnapshot>(target("base"));
    return merging == nullptr ? kSectors / 16
                              : merging->merger().progress().merged;
  }

  void expect_merged() {
    for (uint64_t first = 0; first < kSectors; first += 16) {
      ASSERT_EQ(
          stamp_difference(read_range(*memory_, {first * kSectorBytes, 4096}),
                           first, kOwn),
          "");
    }
  }

  std::shared_ptr<MemoryDevice> memory_ =
      std::make_shared<MemoryDevice>(kSectors * kSectorBytes, "origin");
  std::shared_ptr<FaultyDevice> faulty_ =
      std::make_shared<FaultyDevice>(memory_);
  std::shared_ptr<CountingDevice> origin_ =
      std::make_shared<CountingDevice>(faulty_);
  MemoryOpener opener_;
  EventRecorder events_;
  std::unique_ptr<DeviceSet> set_ =
      std::make_unique<DeviceSet>(opener_, events_);
};

TEST_F(MergeDriverTest, nothing_is_merged_before_it_is_started) {
  merge();

  EXPECT_EQ(origin_->counts().writes, 0u);
  EXPECT_EQ(merged(), 0u);
}

TEST_F(MergeDriverTest, a_merge_runs_to_its_end_by_itself) {
  set_->start_merging();

  merge();
  eventually([&] { return events_.count(EventKind::merge) == 2; });

  EXPECT_TRUE(is_plain());
  expect_merged();
}

TEST_F(MergeDriverTest, merges_that_were_there_at_the_start_run_too) {
  merge();

  set_->start_merging();
  eventually([&] { return is_plain(); });

  expect_merged();
}

TEST_F(MergeDriverTest, suspend_waits_for_one_step_and_resume_goes_on) {
  // However late the other thread comes, it does not find all of it merged.
  merge(1);
  origin_->hold(kFlush);
  set_->start_merging();
  origin_->wait_until_held(kFlush, 1);
  std::atomic<bool> is_suspended{false};
  std::thread suspender([&] {
    set_->suspend("base");
    is_suspended = true;
  });
  EXPECT_FALSE(is_suspended);

  origin_->release();
  suspender.join();
  const uint64_t before = merged();
  EXPECT_GT(before, 0u);
  EXPECT_LT(before, kSectors / 16);
  EXPECT_NE(target("base")->details().find("merge: suspended\n"),
            std::string::npos);

  set_->set_merge_rate("base", 0);
  set_->resume("base");
  eventually([&] { return is_plain(); });
  expect_merged();
}

TEST_F(MergeDriverTest, a_failure_stands_until_resume) {
  merge();
  faulty_->inject({.ops = kFlush, .for_ever = true});
  set_->start_merging();
  eventually([&] { return events_.count(EventKind::merge_failed) == 1; });
  EXPECT_EQ(target("base")->status_line(),
            "0 4096 snapshot-merge Merge failed");

  faulty_->heal();
  set_->resume("base");
  eventually([&] { return is_plain(); });

  expect_merged();
  EXPECT_EQ(events_.count(EventKind::merge_failed), 1u);
}

// Or whoever waits for the merge would find the old failure.
TEST_F(MergeDriverTest, a_merge_that_was_resumed_has_not_failed) {
  merge();
  faulty_->inject({.ops = kFlush, .for_ever = true});
  set_->start_merging();
  eventually([&] { return events_.count(EventKind::merge_failed) == 1; });
  set_->stop_merging();

  set_->resume("base");

  EXPECT_NE(target("base")->details().find("merge: running\n"),
            std::string::npos);
}

TEST_F(MergeDriverTest, the_rate_bounds_what_is_merged) {
  merge(uint64_t{64} << 10);  // 256 chunks of 4 KiB: 16 seconds
  const auto begin = std::chrono::steady_clock::now();
  set_->start_merging();
  eventually([&] { return merged() >= 6; });
  const std::chrono::duration<double> passed =
      std::chrono::steady_clock::now() - begin;

  // Steps of 8 KiB every 125 ms: the third one begins after two of those.
  EXPECT_GE(passed.count(), 0.25);
}

TEST_F(MergeDriverTest, the_rate_changes_while_it_runs) {
  merge(1);  // a chunk takes more than an hour
  set_->start_merging();
  eventually([&] { return merged() == 1; });

  set_->set_merge_rate("base", 0);
  eventually([&] { return is_plain(); });

  expect_merged();
}

TEST_F(MergeDriverTest, a_new_table_for_the_merge_changes_its_rate) {
  merge(1);
  set_->start_merging();
  eventually([&] { return merged() == 1; });
  EXPECT_NE(target("base")->details().find("merge_rate: 1\n"),
            std::string::npos);

  merge(0);
  eventually([&] { return is_plain(); });

  expect_merged();
}

TEST_F(MergeDriverTest, a_set_ends_in_the_middle_of_a_merge) {
  merge();
  origin_->hold(kFlush);
  set_->start_merging();
  origin_->wait_until_held(kFlush, 1);
  std::thread ender([&] { set_.reset(); });
  origin_->release();
  ender.join();

  set_ = std::make_unique<DeviceSet>(opener_, events_);
  set_->load({merge_table("base", "origin", "cow")});
  set_->start_merging();
  eventually([&] { return is_plain(); });

  expect_merged();
}

TEST_F(MergeDriverTest, a_merge_is_removed_in_the_middle) {
  merge(uint64_t{64} << 10);
  set_->start_merging();
  eventually([&] { return merged() != 0; });

  set_->remove("s");
  set_->remove("base");

  EXPECT_EQ(opener_.open_count("cow"), 0u);
  EXPECT_EQ(opener_.open_count("origin"), 0u);
}

TEST_F(MergeDriverTest, requests_go_on_while_it_runs) {
  merge();
  std::atomic<bool> is_stopping{false};
  std::vector<std::thread> writers;
  for (unsigned w = 0; w < 3; ++w) {
    writers.emplace_back([&, w] {
      // Each its own sectors of every chunk.
      for (uint64_t i = w; !is_stopping; i += 7) {
        const uint64_t first = i % (kSectors / 8) * 8 + 2 * w;
        Device& device = *set_->find("base");
        Admission::Pass pass = enter(device);
        device.live()->write(first * kSectorBytes, stamped(first, 2, 5 + w));
        std::vector<std::byte> data(2 * kSectorBytes);
        device.live()->read(first * kSectorBytes, data);
        EXPECT_EQ(stamp_difference(data, first, 5 + w), "");
      }
    });
  }

  set_->start_merging();
  eventually([&] { return is_plain(); });
  is_stopping = true;
  for (std::thread& writer : writers) writer.join();

  std::vector<std::byte> data(kSectors * kSectorBytes);
  target("base")->read(0, data);
  EXPECT_TRUE(data == memory_->content());
}

}  // namespace
}  // namespace snapfs::test

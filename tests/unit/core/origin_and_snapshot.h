// SPDX-License-Identifier: MIT
//
// An origin and a snapshot that differ, for tests of what brings them together:
// the one is to become as the other.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/device_set.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"
#include "tests/support/test_threads.h"
#include "tests/unit/core/layers.h"

namespace snapfs::test {

// An origin `base` with a snapshot `s` in chunks of 8 sectors. There is a COW
// for another snapshot, `t`.
class OriginAndSnapshot : public testing::Test {
 protected:
  static constexpr uint64_t kOriginSectors = 2048;
  static constexpr uint64_t kCowSectors = 2 * kOriginSectors;
  static constexpr unsigned kOld = 1;  // generation of the origin at first
  static constexpr unsigned kNew = 2;  // what the origin has become
  static constexpr unsigned kOwn = 3;  // written to the snapshot
  static constexpr unsigned kLate = 4;

  OriginAndSnapshot() {
    stamp_device(*origin_.memory, sectors(0, kOriginSectors), kOld);
    opener_.add("origin", origin_.counting);
    opener_.add("s-cow", s_.counting);
    opener_.add("t-cow", t_.counting);
    reopen();
  }

  ~OriginAndSnapshot() override {
    for (Layers* each : {&origin_, &s_, &t_}) each->counting->release();
  }

  static Table snapshot(const std::string& name, uint64_t chunk = 8) {
    Table table = snapshot_table(name, "base", name + "-cow",
                                 StoreType::persistent, chunk);
    snapshot_of(table).commit_interval = std::chrono::hours(1);
    return table;
  }
  static std::vector<Table> first_tables() {
    return {origin_table("base", "origin"), snapshot("s")};
  }

  // As after a crash: nothing in memory is left.
  void reopen(std::vector<Table> tables = first_tables()) {
    set_.reset();
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    set_->load(std::move(tables));
  }

  // The origin is at kNew in chunks 2, 3 and 20, the snapshot at kOwn in 8.
  void diverge() {
    write("base", 16, 16, kNew);
    write("s", 64, 8, kOwn);
    write("base", 160, 8, kNew);
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_->find(name)->live();
  }

  void write(const std::string& name, uint64_t first, uint64_t count,
             unsigned generation) {
    target(name)->write(first * kSectorBytes,
                        stamped(first, count, generation));
  }

  // Empty, or the first sector that is not of that generation.
  std::string differs(const std::string& name, uint64_t first, uint64_t count,
                      unsigned generation) {
    std::vector<std::byte> data(count * kSectorBytes);
    target(name)->read(first * kSectorBytes, data);
    return stamp_difference(data, first, generation);
  }
  std::string origin_differs(uint64_t first, uint64_t count,
                             unsigned generation) {
    return stamp_difference(read_range(*origin_.memory, sectors(first, count)),
                            first, generation);
  }

  // What the snapshot shows after diverge().
  void expect_snapshot_content(const std::string& name) {
    EXPECT_EQ(differs(name, 0, 64, kOld), "");
    EXPECT_EQ(differs(name, 64, 8, kOwn), "");
    EXPECT_EQ(differs(name, 72, kOriginSectors - 72, kOld), "");
  }

  // What `call` is refused with; empty if it is not.
  template <typename Call>
  static std::string refusal(const Call& call) {
    try {
      call();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }

  std::vector<std::string> recorded() { return in_words(*recording_); }

  const std::atomic<bool>& in_a_thread(std::function<void()> function) {
    return threads_.start(std::move(function));
  }

  std::shared_ptr<Recording> recording_ = std::make_shared<Recording>();
  MemoryOpener opener_;
  EventRecorder events_;
  Layers origin_{"origin", kOriginSectors, recording_};
  Layers s_{"s-cow", kCowSectors, recording_};
  Layers t_{"t-cow", kCowSectors, recording_};
  std::unique_ptr<DeviceSet> set_;
  TestThreads threads_;  // last: joined while everything above exists
};

}  // namespace snapfs::test

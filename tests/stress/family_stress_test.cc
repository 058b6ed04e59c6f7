// SPDX-License-Identifier: MIT
//
// Many threads on one origin and its snapshots. Each thread owns blocks of
// sectors on every device and knows what they hold; chunks are larger than
// blocks, so that threads meet in every chunk. SNAPFS_SEED replays one seed
// (the scheduling, of course, is the machine's).
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/device_set.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/seed.h"
#include "tests/support/tables.h"
#include "tests/support/yielding_device.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kSectors = 6000;
constexpr uint64_t kBlockSectors = 5;  // owned by one thread
constexpr unsigned kThreads = 8;
constexpr unsigned kSnapshots = 3;
constexpr unsigned kDevices = kSnapshots + 1;  // the last is the origin

// What a sector was last stamped with: generation 1 is the beginning, then
// every write of device d has a generation that is d modulo kDevices.
constexpr uint64_t kFirstGeneration = 1;

uint64_t generation_of(unsigned device, uint64_t count) {
  return (count + 1) * kDevices + device;
}

class Stress {
 public:
  explicit Stress(uint64_t seed) : seed_(seed) {
    auto origin =
        std::make_shared<YieldingDevice>(kSectors * kSectorBytes, "origin");
    origin->write(0, stamped(0, kSectors, kFirstGeneration));
    opener_.add("origin", origin);
    tables_.push_back(origin_table("base", "origin"));
    static constexpr uint64_t kChunks[kSnapshots] = {1, 16, 128};
    for (unsigned i = 0; i < kSnapshots; ++i) {
      std::string number = std::to_string(i);
      opener_.add("cow" + number,
                  std::make_shared<YieldingDevice>(3 * kSectors * kSectorBytes,
                                                   "cow" + number));
      tables_.push_back(snapshot_table("s" + number, "base", "cow" + number,
                                       StoreType::persistent, kChunks[i]));
      snapshot_of(tables_.back()).commit_interval =
          std::chrono::milliseconds(1);
    }
    for (auto& generations : expected_) {
      generations.assign(kSectors, kFirstGeneration);
    }
    open();
  }

  void run(unsigned operations) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; ++i) {
      threads.emplace_back([this, i, operations] { work(i, operations); });
    }
    std::atomic<bool> done{false};
    std::thread watcher([&] {
      while (!done) watch();
    });
    for (std::thread& thread : threads) thread.join();
    done = true;
    watcher.join();
    verify();
    for (auto& target : targets_) target.reset();
    set_.reset();
    open();
    verify();
  }

 private:
  void open() {
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    set_->load(tables_);
    for (unsigned i = 0; i < kSnapshots; ++i) {
      targets_[i] = set_->find("s" + std::to_string(i))->live();
    }
    targets_[kSnapshots] = set_->find("base")->live();
  }

  void work(unsigned thread, unsigned operations) {
    std::mt19937_64 random(seed_ + thread);
    uint64_t count = 0;
    auto pick = [&](uint64_t below) { return random() % below; };
    for (unsigned i = 0; i < operations && !testing::Test::HasFailure(); ++i) {
      uint64_t block =
          pick(kSectors / kBlockSectors / kThreads) * kThreads + thread;
      uint64_t first = block * kBlockSectors + pick(kBlockSectors);
      uint64_t length = 1 + pick(block * kBlockSectors + kBlockSectors - first);
      auto device = static_cast<unsigned>(pick(kDevices));
      Target& target = *targets_[device];
      uint64_t kind = pick(100);
      if (kind < 55) {
        uint64_t generation = generation_of(device, ++count);
        target.write(first * kSectorBytes, stamped(first, length, generation));
        std::fill_n(
            expected_[device].begin() + static_cast<std::ptrdiff_t>(first),
            length, generation);
      } else if (kind < 57) {
        target.flush();
      } else {
        expect(device, first, length);
      }
    }
  }

  void expect(unsigned device, uint64_t first, uint64_t length) {
    std::vector<std::byte> data(length * kSectorBytes);
    targets_[device]->read(first * kSectorBytes, data);
    for (uint64_t i = 0; i < length; ++i) {
      std::span sector(&data[i * kSectorBytes], kSectorBytes);
      ASSERT_EQ(
          stamp_difference(sector, first + i, expected_[device][first + i]), "")
          << "device " << device;
    }
  }

  // No snapshot ever shows what was written to the origin or to another one.
  void watch() {
    std::vector<std::byte> data(kSectors * kSectorBytes);
    for (unsigned device = 0; device < kSnapshots; ++device) {
      targets_[device]->read(0, data);
      for (uint64_t i = 0; i < kSectors; ++i) {
        uint64_t generation =
            load_little_endian(std::span(&data[i * kSectorBytes], 8)) >>
            kGenerationShift;
        ASSERT_TRUE(generation == kFirstGeneration ||
                    generation % kDevices == device)
            << "snapshot " << device << " shows generation " << generation
            << " at sector " << i;
      }
    }
  }

  void verify() {
    for (unsigned device = 0; device < kDevices; ++device) {
      expect(device, 0, kSectors);
      EXPECT_EQ(targets_[device]->status_line().find("Invalid"),
                std::string::npos);
    }
  }

  const uint64_t seed_;
  MemoryOpener opener_;
  EventRecorder events_;
  std::vector<Table> tables_;
  std::unique_ptr<DeviceSet> set_;
  std::shared_ptr<Target> targets_[kDevices];
  std::vector<uint64_t> expected_[kDevices];  // generation of each sector
};

TEST(FamilyStressTest, threads_in_the_same_chunks_keep_every_view) {
  const uint64_t seed = next_seed();
  std::cout << "SNAPFS_SEED=" << seed << std::endl;

  Stress(seed).run(4000);
}

}  // namespace
}  // namespace snapfs::test

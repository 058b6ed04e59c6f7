// SPDX-License-Identifier: MIT
//
// An origin is reverted to its snapshot again and again, in the background,
// while threads write and read both, other snapshots are read, and the origin
// is suspended and resumed. Each thread knows what its own sectors hold in
// either. SNAPFS_SEED replays the random choices, not the timing.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/device_set.h"
#include "tests/support/eventually.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/parked_thread.h"
#include "tests/support/pattern.h"
#include "tests/support/seed.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kSectors = 4096;
constexpr unsigned kWriters = 3;
constexpr unsigned kRounds = 20;

class Stress {
 public:
  explicit Stress(uint64_t seed) : random_(seed) {
    origin_ = opener_.add("origin", kSectors * kSectorBytes);
    stamp_device(*origin_, {0, kSectors * kSectorBytes}, 1);
    for (const char* cow : {"s", "large", "small"}) {
      opener_.add(cow, 8 * kSectors * kSectorBytes);
    }
    set_.load({origin_table("base", "origin"), snapshot("s", 8),
               snapshot("large", 64), snapshot("small", 2)});
    set_.start_merging();
    for (const char* name : {"base", "s"}) {
      expected_[name].assign(kSectors, 1);
    }
  }

  void run() {
    for (unsigned i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("round " + std::to_string(i));
      round();
    }
    for (const char* name : {"base", "s"}) expect(name);
  }

 private:
  static Table snapshot(const std::string& name, uint64_t chunk) {
    return snapshot_table(name, "base", name, StoreType::persistent, chunk);
  }

  void write(const std::string& name, uint64_t first, uint64_t count,
             uint64_t generation) {
    std::shared_ptr<Device> device = set_.find(name);
    Admission::Pass pass = enter(*device);
    device->live()->write(first * kSectorBytes,
                          stamped(first, count, generation));
  }

  void round() {
    for (unsigned i = 0; i < 100; ++i) {
      const uint64_t first = random_() % kSectors;
      const uint64_t count = std::min(1 + random_() % 30, kSectors - first);
      const std::string name = random_() % 2 == 0 ? "s" : "base";
      write(name, first, count, ++generation_);
      std::fill_n(
          expected_.at(name).begin() + static_cast<std::ptrdiff_t>(first),
          count, generation_);
    }
    // Slow enough for everybody to come to something.
    set_.revert("s", {false, uint64_t{1} << 20});
    expected_["base"] = expected_["s"];
    expect("base");
    disturb();
  }

  bool is_reverting() {
    return set_.find("base")->live()->details().find("revert: ") !=
           std::string::npos;
  }

  void disturb() {
    const std::vector<std::byte> large = content("large");
    const std::vector<std::byte> small = content("small");
    writes_ = 0;
    std::atomic<bool> is_stopping{false};
    std::vector<std::thread> threads;
    threads.reserve(kWriters + 1);
    for (unsigned w = 0; w < kWriters; ++w) {
      threads.emplace_back(
          [&, w, seed = random_()] { write_own(w, seed, is_stopping); });
    }
    threads.emplace_back([&] {
      while (!is_stopping) {
        EXPECT_TRUE(content("large") == large);
        EXPECT_TRUE(content("small") == small);
        set_.find("base")->live()->flush();
        set_.find("s")->live()->flush();
      }
    });
    for (unsigned i = 0; i < 3; ++i) {
      set_.suspend("base");
      set_.resume("base");
      eventually([&] { return writes_ > 50 * (i + 1); });
    }
    try {
      set_.set_revert_rate("base", 0);
    } catch (const std::system_error&) {
      // It has finished.
    }
    eventually([&] { return !is_reverting(); });
    is_stopping = true;
    for (std::thread& thread : threads) thread.join();
    generation_ += 1000;
    EXPECT_TRUE(content("large") == large);
    EXPECT_TRUE(content("small") == small);
    for (const char* name : {"base", "s"}) expect(name);
    EXPECT_TRUE(content("base") == origin_->content());
  }

  // Sectors `w` of each group of kWriters, in either.
  void write_own(unsigned w, uint64_t seed,
                 const std::atomic<bool>& is_stopping) {
    std::mt19937_64 random(seed);
    uint64_t generation = generation_ + 1 + w;
    while (!is_stopping) {
      const uint64_t sector = random() % (kSectors / kWriters) * kWriters + w;
      const std::string name = random() % 2 == 0 ? "base" : "s";
      const std::string other = name == "s" ? "base" : "s";
      EXPECT_EQ(read_one(name, sector), expected_.at(name)[sector]);
      generation = (generation + kWriters) % (1 << 15);
      write(name, sector, 1, generation);
      expected_.at(name)[sector] = generation;
      EXPECT_EQ(read_one(name, sector), generation);
      EXPECT_EQ(read_one(other, sector), expected_.at(other)[sector]);
      ++writes_;
    }
  }

  uint64_t read_one(const std::string& name, uint64_t sector) {
    std::vector<std::byte> data(kSectorBytes);
    std::shared_ptr<Device> device = set_.find(name);
    Admission::Pass pass = enter(*device);
    device->live()->read(sector * kSectorBytes, data);
    const uint64_t generation = load_little_endian(data) >> kGenerationShift;
    EXPECT_EQ(stamp_difference(data, sector, generation), "");
    return generation;
  }

  std::vector<std::byte> content(const std::string& name) {
    std::vector<std::byte> data(kSectors * kSectorBytes);
    set_.find(name)->live()->read(0, data);
    return data;
  }

  void expect(const std::string& name) {
    const std::vector<std::byte> data = content(name);
    for (uint64_t sector = 0; sector < kSectors; ++sector) {
      auto bytes = std::span(data).subspan(sector * kSectorBytes, kSectorBytes);
      ASSERT_EQ(stamp_difference(bytes, sector, expected_.at(name)[sector]), "")
          << name;
    }
  }

  std::mt19937_64 random_;
  uint64_t generation_ = 1;
  // Each sector has one writer.
  std::map<std::string, std::vector<uint64_t>> expected_;
  std::atomic<unsigned> writes_{0};
  MemoryOpener opener_;
  std::shared_ptr<MemoryDevice> origin_;
  EventRecorder events_;
  DeviceSet set_{opener_, events_};
};

TEST(RevertStressTest, everybody_goes_on_while_reverts_run) {
  const uint64_t seed = next_seed();
  std::cout << "SNAPFS_SEED=" << seed << std::endl;
  Stress(seed).run();
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Merges in the background, one after the other, while threads write and read
// the merging device under both of its names, other snapshots are read and
// written, and the merge is suspended and resumed. Each thread knows what its
// own sectors hold. SNAPFS_SEED replays the random choices, not the timing.
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/stress/stressed_origin.h"
#include "tests/support/eventually.h"
#include "tests/support/seed.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr unsigned kRounds = 30;

class Stress : private StressedOrigin {
 public:
  explicit Stress(uint64_t seed)
      : StressedOrigin(seed), expected_(kSectors, 1) {}

  void run() {
    for (unsigned i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("round " + std::to_string(i));
      round();
    }
  }

 private:
  void round() {
    set_.load({snapshot("s", 8)});
    for (unsigned i = 0; i < 150; ++i) {
      const uint64_t first = random_() % kSectors;
      const uint64_t count = std::min(1 + random_() % 30, kSectors - first);
      // What the origin becomes is undone by the merge.
      const bool is_own = random_() % 2 == 0;
      write(is_own ? "s" : "base", first, count, ++generation_);
      for (uint64_t at = first; is_own && at < first + count; ++at) {
        expected_[at] = generation_;
      }
    }
    begin_merge();
    disturb();
    set_.remove("s");
    expect("base", expected_);
    EXPECT_TRUE(content("base") == origin_->content());
  }

  void begin_merge() {
    Table table = merge_table("base", "origin", "s");
    snapshot_of(table).merge->also_as = {"s"};
    // Slow enough for everybody to come to something.
    snapshot_of(table).merge->rate = uint64_t{1} << 20;
    table.activate = Activate::now;
    set_.load({table});
  }

  bool is_plain() {
    return set_.find("base")->live()->status_line().find("snapshot-origin") !=
           std::string::npos;
  }

  void disturb() {
    std::vector<std::byte> large = content("large");
    std::vector<std::byte> small = content("small");
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
      }
    });
    for (unsigned i = 0; i < 5; ++i) {
      set_.suspend("base");
      set_.resume("base");
      eventually([&] { return writes_ > 100 * (i + 1); });
    }
    try {
      set_.set_merge_rate("base", 0);
    } catch (const std::system_error&) {
      // It has finished.
    }
    eventually([&] { return is_plain(); });
    is_stopping = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(content("large") == large);
    EXPECT_TRUE(content("small") == small);
  }

  // Sectors `w` of each group of kWriters, under either name.
  void write_own(unsigned w, uint64_t seed,
                 const std::atomic<bool>& is_stopping) {
    std::mt19937_64 random(seed);
    uint64_t generation = generation_ + 1 + w;
    while (!is_stopping) {
      const uint64_t sector = random() % (kSectors / kWriters) * kWriters + w;
      const std::string name = random() % 2 == 0 ? "base" : "s";
      EXPECT_EQ(read_one(name, sector), expected_[sector]);
      generation = (generation + kWriters) % (1 << 15);
      write(name, sector, 1, generation);
      expected_[sector] = generation;
      ++writes_;
      EXPECT_EQ(read_one(name == "s" ? "base" : "s", sector), generation);
    }
  }

  uint64_t generation_ = 1;
  std::vector<uint64_t> expected_;  // of the base; each sector has one writer
  std::atomic<unsigned> writes_{0};
};

TEST(MergeStressTest, everybody_goes_on_while_merges_run) {
  const uint64_t seed = next_seed();
  std::cout << "SNAPFS_SEED=" << seed << std::endl;
  Stress(seed).run();
}

}  // namespace
}  // namespace snapfs::test

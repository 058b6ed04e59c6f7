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
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/stress/stressed_origin.h"
#include "tests/support/eventually.h"
#include "tests/support/seed.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr unsigned kRounds = 20;

class Stress : private StressedOrigin {
 public:
  explicit Stress(uint64_t seed) : StressedOrigin(seed) {
    set_.load({snapshot("s", 8)});
    for (const char* name : {"base", "s"}) {
      expected_[name].assign(kSectors, 1);
    }
  }

  void run() {
    for (unsigned i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("round " + std::to_string(i));
      round();
    }
    for (const auto& [name, wanted] : expected_) expect(name, wanted);
  }

 private:
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
    expect("base", expected_["base"]);
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
    for (const auto& [name, wanted] : expected_) expect(name, wanted);
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

  uint64_t generation_ = 1;
  // Each sector has one writer.
  std::map<std::string, std::vector<uint64_t>> expected_;
  std::atomic<unsigned> writes_{0};
};

TEST(RevertStressTest, everybody_goes_on_while_reverts_run) {
  const uint64_t seed = next_seed();
  std::cout << "SNAPFS_SEED=" << seed << std::endl;
  Stress(seed).run();
}

}  // namespace
}  // namespace snapfs::test

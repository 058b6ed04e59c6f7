// SPDX-License-Identifier: MIT
#include "core/range_lock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/eventually.h"
#include "tests/support/seed.h"

namespace snapfs::test {
namespace {

// A thread that locks a range and keeps it until it is told.
class Locker {
 public:
  Locker(RangeLock& lock, ChunkRange range)
      : thread_([this, &lock, range] {
          arrived_ = true;
          auto hold = lock.lock(range);
          has_it_ = true;
          while (!may_go_) std::this_thread::yield();
        }) {}
  ~Locker() {
    may_go_ = true;
    thread_.join();
  }

  bool has_arrived() const { return arrived_; }
  bool has_it() const { return has_it_; }
  void let_go() { may_go_ = true; }

 private:
  std::atomic<bool> arrived_{false};
  std::atomic<bool> has_it_{false};
  std::atomic<bool> may_go_{false};
  std::thread thread_;
};

TEST(RangeLock, ranges_that_do_not_overlap_are_held_together) {
  RangeLock lock;

  auto a = lock.lock({0, 10});
  auto b = lock.lock({10, 10});
  auto c = lock.lock({30, 1});

  SUCCEED() << "nobody waited";
}

TEST(RangeLock, a_range_that_overlaps_waits) {
  RangeLock lock;
  std::atomic<bool> released{false};
  std::atomic<bool> came_after{true};
  std::atomic<unsigned> arrived{0};
  std::vector<std::thread> threads;
  {
    auto hold = lock.lock({10, 10});
    for (ChunkRange range : {ChunkRange{0, 11}, {19, 1}, {12, 3}, {0, 100}}) {
      threads.emplace_back([&, range] {
        ++arrived;
        auto mine = lock.lock(range);
        if (!released) came_after = false;
      });
    }
    eventually([&] { return arrived == 4; });
    give_others_time();
    released = true;
  }

  for (std::thread& thread : threads) thread.join();

  EXPECT_TRUE(came_after);
}

TEST(RangeLock, a_release_lets_those_go_that_overlapped_it_alone) {
  RangeLock lock;
  Locker left(lock, {0, 10});
  Locker right(lock, {20, 10});
  eventually([&] { return left.has_it() && right.has_it(); });
  Locker waits_for_left(lock, {5, 1});
  Locker waits_for_both(lock, {5, 20});

  left.let_go();

  eventually([&] { return waits_for_left.has_it(); });
  EXPECT_FALSE(waits_for_both.has_it());
  waits_for_left.let_go();
  right.let_go();
  eventually([&] { return waits_for_both.has_it(); });
}

TEST(RangeLock, a_moved_hold_is_released_once) {
  RangeLock lock;
  RangeLock::Hold kept;
  {
    auto hold = lock.lock({0, 10});
    kept = std::move(hold);
  }
  Locker other(lock, {0, 1});
  eventually([&] { return other.has_arrived(); });
  EXPECT_FALSE(other.has_it());

  { RangeLock::Hold gone = std::move(kept); }

  eventually([&] { return other.has_it(); });
}

TEST(RangeLock, no_chunk_is_held_twice_at_once) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  constexpr uint64_t kChunks = 20;
  RangeLock lock;
  std::vector<std::atomic<int>> owners(kChunks);
  std::atomic<bool> overlapped{false};

  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937_64 random(seed + i);
      for (int step = 0; step < 500; ++step) {
        uint64_t first = random() % kChunks;
        ChunkRange range{first, 1 + random() % (kChunks - first)};
        auto hold = lock.lock(range);
        for (uint64_t c = first; c < range.end(); ++c) {
          if (owners[c].fetch_add(1) != 0) overlapped = true;
        }
        std::this_thread::yield();
        for (uint64_t c = first; c < range.end(); ++c) --owners[c];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_FALSE(overlapped);
}

}  // namespace
}  // namespace snapfs::test

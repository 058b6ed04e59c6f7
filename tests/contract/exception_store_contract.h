// SPDX-License-Identifier: MIT
//
// What every ExceptionStore keeps, whoever implements it. An implementation
// joins with a fixture:
//
//   struct Fixture {
//     static constexpr uint64_t kSectors;  // of a chunk
//     ExceptionStore& store();             // new, on a device of kCowChunks
//     void resize_to(uint64_t chunks);     // of the device
//     static uint64_t room(uint64_t chunks);  // what fits on so many chunks
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Name, ExceptionStoreContract, Fixture);
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/exception_store.h"
#include "tests/support/seed.h"

namespace snapfs::test {

inline constexpr uint64_t kCowChunks = 200;

template <typename Fixture>
class ExceptionStoreContract : public testing::Test {
 protected:
  ExceptionStore& store() { return fixture_.store(); }

  Reservation reserve(uint64_t count) {
    auto reservation = store().reserve(count);
    EXPECT_TRUE(reservation.has_value());
    return reservation.value_or(Reservation{});
  }

  // Exceptions for old chunks from `old_chunk` on.
  static std::vector<ExceptionRun> runs(const Reservation& reservation,
                                        uint64_t old_chunk) {
    return pair_up({{old_chunk, count_of(reservation)}}, reservation);
  }

  static uint64_t count_of(const Reservation& reservation) {
    uint64_t count = 0;
    for (const ChunkRange& range : reservation.new_chunks) count += range.count;
    return count;
  }

  static uint64_t last_of(const Reservation& reservation) {
    return reservation.new_chunks.back().end() - 1;
  }

  Fixture fixture_;
};

TYPED_TEST_SUITE_P(ExceptionStoreContract);

TYPED_TEST_P(ExceptionStoreContract, a_new_store_is_empty) {
  StoreUsage usage = this->store().usage();

  EXPECT_EQ(this->store().chunk_size().sectors(), TypeParam::kSectors);
  EXPECT_EQ(usage.allocated, usage.metadata);
  EXPECT_EQ(usage.total, kCowChunks * TypeParam::kSectors);
  EXPECT_FALSE(this->store().has_uncommitted());
}

TYPED_TEST_P(ExceptionStoreContract, a_reservation_has_the_chunks_asked_for) {
  for (uint64_t count : {1u, 2u, 40u, 3u}) {
    Reservation reservation = this->reserve(count);
    EXPECT_EQ(this->count_of(reservation), count);
  }
}

TYPED_TEST_P(ExceptionStoreContract, no_chunk_is_given_twice) {
  std::set<uint64_t> seen;
  uint64_t last = 0;

  for (uint64_t count : {1u, 30u, 2u, 5u, 64u}) {
    for (const ChunkRange& range : this->reserve(count).new_chunks) {
      for (uint64_t chunk = range.first; chunk < range.end(); ++chunk) {
        EXPECT_TRUE(seen.insert(chunk).second) << chunk;
        EXPECT_LT(chunk, kCowChunks);
        EXPECT_TRUE(chunk > last || seen.size() == 1) << "descends";
        last = chunk;
      }
    }
  }
}

TYPED_TEST_P(ExceptionStoreContract, all_of_the_device_can_be_used) {
  uint64_t count = 0;
  while (auto reservation = this->store().reserve(1)) {
    this->store().hand_in(*reservation, this->runs(*reservation, count));
    ++count;
  }
  this->store().commit();

  EXPECT_EQ(count, TypeParam::room(kCowChunks));
  EXPECT_LE(this->store().usage().allocated, this->store().usage().total);
  EXPECT_FALSE(this->store().reserve(1).has_value());
}

TYPED_TEST_P(ExceptionStoreContract, one_reservation_can_take_all) {
  EXPECT_TRUE(this->store().reserve(TypeParam::room(kCowChunks)).has_value());
  EXPECT_FALSE(this->store().reserve(1).has_value());
}

TYPED_TEST_P(ExceptionStoreContract, what_does_not_fit_takes_nothing) {
  this->reserve(7);
  StoreUsage before = this->store().usage();
  const uint64_t room = TypeParam::room(kCowChunks) - 7;

  for (uint64_t count : {room + 1, 10 * room, ~uint64_t{0}}) {
    EXPECT_FALSE(this->store().reserve(count).has_value()) << count;
  }

  EXPECT_EQ(this->store().usage().allocated, before.allocated);
  EXPECT_TRUE(this->store().reserve(room).has_value());
}

TYPED_TEST_P(ExceptionStoreContract, growth_is_seen_at_once) {
  this->reserve(TypeParam::room(kCowChunks));
  ASSERT_FALSE(this->store().reserve(1).has_value());

  this->fixture_.resize_to(2 * kCowChunks);

  EXPECT_EQ(this->store().usage().total, 2 * kCowChunks * TypeParam::kSectors);
  uint64_t more = TypeParam::room(2 * kCowChunks) - TypeParam::room(kCowChunks);
  EXPECT_TRUE(this->store().reserve(more).has_value());
  EXPECT_FALSE(this->store().reserve(1).has_value());
}

TYPED_TEST_P(ExceptionStoreContract, a_device_that_shrank_has_no_room) {
  this->reserve(50);

  this->fixture_.resize_to(20);

  EXPECT_FALSE(this->store().reserve(1).has_value());
}

TYPED_TEST_P(ExceptionStoreContract,
             a_commit_makes_what_was_handed_in_durable) {
  Reservation first = this->reserve(3);
  Reservation second = this->reserve(40);
  this->store().hand_in(first, this->runs(first, 0));
  this->store().hand_in(second, this->runs(second, 100));

  this->store().commit();

  EXPECT_TRUE(this->store().is_durable(this->last_of(first)));
  EXPECT_TRUE(this->store().is_durable(this->last_of(second)));
  EXPECT_FALSE(this->store().has_uncommitted());
}

TYPED_TEST_P(ExceptionStoreContract, a_commit_of_nothing_succeeds) {
  this->store().commit();
  this->store().commit();

  EXPECT_FALSE(this->store().has_uncommitted());
}

TYPED_TEST_P(ExceptionStoreContract, abandoned_chunks_do_not_hold_commits_up) {
  Reservation kept = this->reserve(2);
  Reservation lost = this->reserve(5);
  Reservation later = this->reserve(1);
  this->store().abandon(lost);
  this->store().hand_in(later, this->runs(later, 10));
  this->store().hand_in(kept, this->runs(kept, 0));

  this->store().commit();

  EXPECT_TRUE(this->store().is_durable(this->last_of(later)));
}

TYPED_TEST_P(ExceptionStoreContract, what_was_abandoned_last_is_free_again) {
  const StoreUsage before = this->store().usage();
  Reservation lost = this->reserve(5);
  this->store().abandon(lost);

  EXPECT_EQ(this->store().usage().allocated, before.allocated);
  EXPECT_EQ(this->reserve(1).new_chunks.front().first,
            lost.new_chunks.front().first);
}

TYPED_TEST_P(ExceptionStoreContract, chunks_abandoned_below_others_are_not) {
  Reservation lost = this->reserve(5);
  Reservation kept = this->reserve(1);
  this->store().abandon(lost);

  EXPECT_GT(this->reserve(1).new_chunks.front().first, this->last_of(kept));
}

TYPED_TEST_P(ExceptionStoreContract, an_invalid_store_has_nothing_to_commit) {
  Reservation reservation = this->reserve(2);
  this->store().hand_in(reservation, this->runs(reservation, 0));

  this->store().invalidate();

  EXPECT_FALSE(this->store().has_uncommitted());
  this->store().commit();
}

TYPED_TEST_P(ExceptionStoreContract, threads_get_chunks_of_their_own) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  constexpr unsigned kThreads = 6;
  this->fixture_.resize_to(4000);
  std::vector<std::vector<ChunkRange>> mine(kThreads);
  std::atomic<uint64_t> next_old{0};
  std::atomic<bool> all_durable{true};

  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937_64 random(seed + i);
      for (int step = 0; step < 60; ++step) {
        uint64_t count = 1 + random() % 5;
        auto reservation = this->store().reserve(count);
        if (!reservation) return;
        if (random() % 5 == 0) {
          this->store().abandon(*reservation);
          continue;
        }
        this->store().hand_in(
            *reservation, this->runs(*reservation, next_old.fetch_add(count)));
        if (random() % 3 == 0) {
          this->store().commit();
          if (!this->store().is_durable(this->last_of(*reservation))) {
            all_durable = false;
          }
        }
        mine[i].insert(mine[i].end(), reservation->new_chunks.begin(),
                       reservation->new_chunks.end());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  std::set<uint64_t> seen;
  for (const auto& ranges : mine) {
    for (const ChunkRange& range : ranges) {
      for (uint64_t chunk = range.first; chunk < range.end(); ++chunk) {
        ASSERT_TRUE(seen.insert(chunk).second) << chunk;
      }
    }
  }
  EXPECT_TRUE(all_durable);
}

REGISTER_TYPED_TEST_SUITE_P(
    ExceptionStoreContract, a_new_store_is_empty,
    a_reservation_has_the_chunks_asked_for, no_chunk_is_given_twice,
    all_of_the_device_can_be_used, one_reservation_can_take_all,
    what_does_not_fit_takes_nothing, growth_is_seen_at_once,
    a_device_that_shrank_has_no_room, a_commit_makes_what_was_handed_in_durable,
    a_commit_of_nothing_succeeds, abandoned_chunks_do_not_hold_commits_up,
    what_was_abandoned_last_is_free_again,
    chunks_abandoned_below_others_are_not,
    an_invalid_store_has_nothing_to_commit, threads_get_chunks_of_their_own);

}  // namespace snapfs::test

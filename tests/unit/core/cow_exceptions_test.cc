// SPDX-License-Identifier: MIT
#include "core/cow_exceptions.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/disk_format.h"
#include "core/error.h"
#include "core/persistent_store.h"
#include "core/transient_store.h"
#include "tests/support/counting_device.h"
#include "tests/support/eventually.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class CowExceptionsTest : public testing::Test {
 protected:
  ~CowExceptionsTest() override { cow_->release(); }

  std::unique_ptr<CowExceptions> make(
      StoreType type = StoreType::persistent,
      std::chrono::milliseconds commit_interval = hours(1),
      bool is_invalid = false) {
    std::unique_ptr<ExceptionStore> store;
    if (type == StoreType::transient || is_invalid) {
      store = std::make_unique<TransientStore>(cow_, ChunkSize(8));
    } else {
      store = PersistentStore::create(cow_, ChunkSize(8));
    }
    cow_->reset_counts();
    return std::make_unique<CowExceptions>(
        cow_, std::move(store), ExceptionTable(), is_invalid,
        CowExceptions::Owner{"snap", type, commit_interval}, timer_, events_);
  }

  // One exception, handed in and published.
  static void add(CowExceptions& exceptions, uint64_t old_chunk) {
    auto place = exceptions.reserve(1);
    ASSERT_TRUE(place.has_value());
    auto runs = pair_up({{old_chunk, 1}}, place->reservation());
    place->hand_in(runs);
    EXPECT_TRUE(exceptions.publish(runs));
  }

  uint32_t header_valid() {
    return unpack_header(read_range(*memory_, {0, kHeaderBytes})).valid;
  }

  static bool is_readable(const CowExceptions& exceptions) {
    try {
      exceptions.require_readable();
      return true;
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), Errc::snapshot_invalid);
      EXPECT_EQ(errno_of(error), EIO);
      return false;
    }
  }

  static bool is_writable(const CowExceptions& exceptions) {
    try {
      exceptions.require_writable();
      return true;
    } catch (const std::system_error& error) {
      EXPECT_EQ(errno_of(error), EIO);
      return false;
    }
  }

  EventRecorder events_;
  CommitTimer timer_;
  std::shared_ptr<MemoryDevice> memory_ =
      std::make_shared<MemoryDevice>(4096 * kSectorBytes, "cow");
  std::shared_ptr<FaultyDevice> faulty_ =
      std::make_shared<FaultyDevice>(memory_);
  std::shared_ptr<CountingDevice> cow_ =
      std::make_shared<CountingDevice>(faulty_);
};

// --- States ------------------------------------------------------------------

TEST_F(CowExceptionsTest, active_is_read_and_written) {
  auto exceptions = make();

  EXPECT_EQ(exceptions->state(), SnapshotState::active);
  EXPECT_TRUE(is_readable(*exceptions));
  EXPECT_TRUE(is_writable(*exceptions));
  EXPECT_EQ(exceptions->reason(), "");
  EXPECT_TRUE(events_.events().empty());
}

TEST_F(CowExceptionsTest, overflowed_is_read_only_and_valid_on_the_cow) {
  auto exceptions = make(StoreType::persistent_overflow);

  exceptions->store_is_full();

  EXPECT_EQ(exceptions->state(), SnapshotState::overflowed);
  EXPECT_TRUE(is_readable(*exceptions));
  EXPECT_FALSE(is_writable(*exceptions));
  EXPECT_EQ(header_valid(), 1u);
  EXPECT_NE(exceptions->reason(), "");
  EXPECT_EQ(events_.count(EventKind::overflow), 1u);
}

TEST_F(CowExceptionsTest, overflowed_takes_copies) {
  auto exceptions = make(StoreType::persistent_overflow);
  exceptions->store_is_full();

  add(*exceptions, 3);
  exceptions->commit();

  EXPECT_TRUE(exceptions->stretch_at(3, 1).excepted);
}

TEST_F(CowExceptionsTest, overflow_happens_once) {
  auto exceptions = make(StoreType::persistent_overflow);

  exceptions->store_is_full();
  exceptions->store_is_full();

  EXPECT_EQ(events_.count(EventKind::overflow), 1u);
}

TEST_F(CowExceptionsTest, full_stores_of_the_other_types_are_invalid) {
  for (StoreType type : {StoreType::persistent, StoreType::transient}) {
    auto exceptions = make(type);

    exceptions->store_is_full();

    EXPECT_EQ(exceptions->state(), SnapshotState::invalid);
    EXPECT_EQ(exceptions->reason(),
              "Unable to allocate exception: the store is full");
  }
  EXPECT_EQ(events_.count(EventKind::invalid), 2u);
}

TEST_F(CowExceptionsTest, invalid_is_neither_read_nor_written) {
  auto exceptions = make();
  add(*exceptions, 3);

  exceptions->invalidate("for a test");

  EXPECT_EQ(exceptions->state(), SnapshotState::invalid);
  EXPECT_FALSE(is_readable(*exceptions));
  EXPECT_FALSE(is_writable(*exceptions));
  EXPECT_THROW(exceptions->stretch_at(3, 1), std::system_error);
  EXPECT_THROW(exceptions->look_up({3, 1}, [](auto&&...) {}),
               std::system_error);
  EXPECT_EQ(header_valid(), 0u);
  EXPECT_FALSE(exceptions->is_unrecorded_invalid());
  EXPECT_EQ(exceptions->reason(), "for a test");
  auto events = events_.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, EventKind::invalid);
  EXPECT_EQ(events[0].device, "snap");
  EXPECT_EQ(events[0].text, "for a test");
}

TEST_F(CowExceptionsTest, invalid_is_final) {
  auto exceptions = make(StoreType::persistent_overflow);
  exceptions->invalidate("first");

  exceptions->invalidate("second");
  exceptions->store_is_full();

  EXPECT_EQ(exceptions->state(), SnapshotState::invalid);
  EXPECT_EQ(exceptions->reason(), "first");
  EXPECT_EQ(events_.events().size(), 1u);
  EXPECT_EQ(cow_->counts().durable_writes, 1u);
}

TEST_F(CowExceptionsTest, overflowed_becomes_invalid) {
  auto exceptions = make(StoreType::persistent_overflow);
  exceptions->store_is_full();

  exceptions->invalidate("no room for a copy");

  EXPECT_EQ(exceptions->state(), SnapshotState::invalid);
  EXPECT_EQ(header_valid(), 0u);
}

TEST_F(CowExceptionsTest, what_the_header_calls_invalid_begins_so) {
  auto exceptions = make(StoreType::persistent, hours(1), true);

  exceptions->invalidate("again");

  EXPECT_EQ(exceptions->state(), SnapshotState::invalid);
  EXPECT_EQ(exceptions->reason(), "Snapshot is marked invalid");
  EXPECT_TRUE(events_.events().empty());
  EXPECT_EQ(cow_->counts().barriers(), 0u);
}

TEST_F(CowExceptionsTest, an_invalid_snapshot_publishes_nothing) {
  auto exceptions = make();
  auto place = exceptions->reserve(1);
  ASSERT_TRUE(place.has_value());
  auto runs = pair_up({{3, 1}}, place->reservation());
  exceptions->invalidate("for a test");

  place->hand_in(runs);

  EXPECT_FALSE(exceptions->publish(runs));
  EXPECT_EQ(exceptions->exception_count(), 0u);
}

// --- The header --------------------------------------------------------------

TEST_F(CowExceptionsTest, whoever_finds_it_invalid_waits_for_the_header) {
  auto exceptions = make();
  cow_->hold(kWriteDurable);
  std::atomic<bool> first_is_done{false};
  std::atomic<bool> second_is_done{false};
  std::thread first([&] {
    exceptions->invalidate("first");
    first_is_done = true;
  });
  cow_->wait_until_held(kWriteDurable, 1);
  EXPECT_EQ(exceptions->state(), SnapshotState::invalid)
      << "reads are refused before the header is written";
  std::thread second([&] {
    exceptions->invalidate("second");
    second_is_done = true;
  });
  give_others_time();
  EXPECT_FALSE(first_is_done);
  EXPECT_FALSE(second_is_done);
  EXPECT_EQ(header_valid(), 1u);

  cow_->release();

  first.join();
  second.join();
  EXPECT_EQ(header_valid(), 0u);
}

TEST_F(CowExceptionsTest, a_header_that_cannot_be_written_is_told) {
  auto exceptions = make();
  faulty_->inject({.ops = kWriteDurable});

  exceptions->invalidate("for a test");

  EXPECT_EQ(exceptions->state(), SnapshotState::invalid);
  EXPECT_TRUE(exceptions->is_unrecorded_invalid());
  EXPECT_EQ(header_valid(), 1u);
  auto events = events_.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(
      events[0].text.rfind("for a test; invalid, not recorded on the COW: ", 0),
      0u)
      << events[0].text;
}

// --- Commits -----------------------------------------------------------------

TEST_F(CowExceptionsTest, a_commit_that_fails_makes_it_invalid) {
  auto exceptions = make();
  add(*exceptions, 3);
  faulty_->inject({.ops = kFlush});

  EXPECT_THROW(exceptions->commit(), std::system_error);

  EXPECT_EQ(exceptions->state(), SnapshotState::invalid);
  EXPECT_EQ(header_valid(), 0u);
  EXPECT_EQ(exceptions->reason().rfind("Error reading/writing: ", 0), 0u);
  EXPECT_THROW(exceptions->commit(), std::system_error) << "it is told again";
}

TEST_F(CowExceptionsTest, pending_records_are_committed_in_time) {
  auto exceptions = make(StoreType::persistent, milliseconds(5));

  add(*exceptions, 3);

  eventually([&] { return cow_->counts().durable_writes == 1; });
  add(*exceptions, 9);
  eventually([&] { return cow_->counts().durable_writes == 2; });
}

TEST_F(CowExceptionsTest, nothing_is_committed_when_nothing_is_pending) {
  auto exceptions = make(StoreType::persistent, milliseconds(0));
  auto other_memory = std::make_shared<MemoryDevice>(64 * kSectorBytes, "cow2");
  auto other_cow = std::make_shared<CountingDevice>(other_memory);
  CowExceptions other(
      other_cow, PersistentStore::create(other_cow, ChunkSize(8)),
      ExceptionTable(), false,
      {"other", StoreType::persistent, milliseconds(0)}, timer_, events_);
  other_cow->reset_counts();
  // The timer is at work on the other store while this one is committed.
  other_cow->hold(kFlush);
  add(other, 1);
  other_cow->wait_until_held(kFlush, 1);
  add(*exceptions, 3);
  exceptions->commit();
  auto before = cow_->counts();

  // A store that is due later has been served: so has this one.
  add(other, 2);
  other_cow->release();
  eventually([&] { return other_cow->counts().durable_writes == 2; });

  EXPECT_EQ(cow_->counts().barriers(), before.barriers());
}

TEST_F(CowExceptionsTest, a_transient_store_is_never_committed) {
  auto exceptions = make(StoreType::transient, milliseconds(0));

  add(*exceptions, 3);
  exceptions->commit();

  EXPECT_TRUE(exceptions->is_durable(0));
  EXPECT_EQ(cow_->counts().barriers(), 0u);
}

TEST_F(CowExceptionsTest, a_timed_commit_that_fails_makes_it_invalid) {
  auto exceptions = make(StoreType::persistent, milliseconds(0));
  cow_->hold(kFlush);
  add(*exceptions, 3);
  cow_->wait_until_held(kFlush, 1);
  faulty_->inject({.ops = kWriteDurable});

  cow_->release();

  eventually([&] { return events_.count(EventKind::invalid) == 1; });
  EXPECT_EQ(exceptions->state(), SnapshotState::invalid);
  EXPECT_THROW(exceptions->commit(), std::system_error);
}

TEST_F(CowExceptionsTest, the_end_waits_for_a_timed_commit) {
  auto exceptions = make(StoreType::persistent, milliseconds(1));
  cow_->hold(kFlush);
  add(*exceptions, 3);
  cow_->wait_until_held(kFlush, 1);
  std::thread releaser([&] {
    give_others_time();
    cow_->release();
  });

  exceptions.reset();

  EXPECT_EQ(cow_->counts().durable_writes, 1u);
  releaser.join();
}

// --- Places ------------------------------------------------------------------

TEST_F(CowExceptionsTest, a_place_that_is_dropped_holds_no_commit_up) {
  auto exceptions = make();
  auto kept = exceptions->reserve(1);
  {
    auto dropped = exceptions->reserve(2);
    auto moved = std::move(dropped);
  }
  auto runs = pair_up({{3, 1}}, kept->reservation());
  kept->hand_in(runs);
  exceptions->publish(runs);

  exceptions->commit();

  EXPECT_TRUE(exceptions->is_durable(runs[0].new_chunk));
}

TEST_F(CowExceptionsTest, no_room_is_no_place) {
  auto exceptions = make();

  EXPECT_TRUE(exceptions->has_room(509));
  EXPECT_FALSE(exceptions->has_room(510));
  EXPECT_FALSE(exceptions->reserve(510).has_value());
}

TEST_F(CowExceptionsTest, lookups_visit_all_stretches_in_order) {
  auto exceptions = make();
  add(*exceptions, 3);
  add(*exceptions, 4);
  add(*exceptions, 9);
  std::vector<uint64_t> chunks;
  std::vector<uint64_t> counts;

  exceptions->look_up(
      {2, 10}, [&](uint64_t chunk, const ExceptionTable::Stretch& stretch) {
        chunks.push_back(chunk);
        counts.push_back(stretch.count);
      });

  EXPECT_EQ(chunks, (std::vector<uint64_t>{2, 3, 5, 9, 10}));
  EXPECT_EQ(counts, (std::vector<uint64_t>{1, 2, 4, 1, 2}));
  EXPECT_EQ(exceptions->exception_count(), 3u);
}

}  // namespace
}  // namespace snapfs::test

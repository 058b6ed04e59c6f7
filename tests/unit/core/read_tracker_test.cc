// SPDX-License-Identifier: MIT
#include "core/read_tracker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "tests/support/eventually.h"

namespace snapfs::test {
namespace {

// Drains a range in a thread of its own.
class Drainer {
 public:
  Drainer(ReadTracker& tracker, ByteRange range)
      : thread_([this, &tracker, range] {
          arrived_ = true;
          tracker.drain(range);
          done_ = true;
        }) {}
  ~Drainer() { thread_.join(); }

  bool has_arrived() const { return arrived_; }
  bool is_done() const { return done_; }

 private:
  std::atomic<bool> arrived_{false};
  std::atomic<bool> done_{false};
  std::thread thread_;
};

TEST(ReadTracker, nothing_to_drain_is_drained_at_once) {
  ReadTracker tracker;

  tracker.drain({0, 1 << 20});

  SUCCEED() << "nobody waited";
}

TEST(ReadTracker, reads_of_other_bytes_are_not_waited_for) {
  ReadTracker tracker;
  ReadTracker::Ticket before(tracker, {0, 4096});
  ReadTracker::Ticket behind(tracker, {8192, 4096});

  tracker.drain({4096, 4096});

  SUCCEED() << "nobody waited";
}

TEST(ReadTracker, a_read_of_one_common_byte_is_waited_for) {
  ReadTracker tracker;
  std::optional<ReadTracker::Ticket> read;
  read.emplace(tracker, ByteRange{0, 4097});
  Drainer drainer(tracker, {4096, 4096});
  eventually([&] { return drainer.has_arrived(); });
  give_others_time();
  EXPECT_FALSE(drainer.is_done());

  read.reset();

  eventually([&] { return drainer.is_done(); });
}

TEST(ReadTracker, all_earlier_reads_are_waited_for) {
  ReadTracker tracker;
  std::optional<ReadTracker::Ticket> reads[3];
  for (auto& read : reads) read.emplace(tracker, ByteRange{0, 100});
  Drainer drainer(tracker, {0, 100});
  eventually([&] { return drainer.has_arrived(); });

  reads[1].reset();
  reads[2].reset();
  give_others_time();
  EXPECT_FALSE(drainer.is_done());
  reads[0].reset();

  eventually([&] { return drainer.is_done(); });
}

// Somebody always reads: each read begins before the one before it has ended.
TEST(ReadTracker, readers_that_keep_coming_do_not_hold_a_writer_up) {
  ReadTracker tracker;
  std::atomic<bool> stop{false};
  std::atomic<unsigned> reads{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      std::optional<ReadTracker::Ticket> tickets[2];
      for (unsigned turn = 0; !stop; ++turn) {
        tickets[turn % 2].emplace(tracker, ByteRange{0, 4096});
        tickets[(turn + 1) % 2].reset();
        ++reads;
      }
    });
  }
  eventually([&] { return reads > 100; });

  for (int i = 0; i < 20; ++i) tracker.drain({0, 4096});

  stop = true;
  for (std::thread& reader : readers) reader.join();
  SUCCEED() << "no drain starved";
}

TEST(ReadTracker, later_reads_are_not_waited_for) {
  ReadTracker tracker;
  std::optional<ReadTracker::Ticket> early;
  early.emplace(tracker, ByteRange{0, 100});
  Drainer drainer(tracker, {0, 100});
  eventually([&] { return drainer.has_arrived(); });

  // Somebody reads all the time, and whoever came before the drain ends.
  std::unique_ptr<ReadTracker::Ticket> late;
  auto read_on = [&] {
    late = std::make_unique<ReadTracker::Ticket>(tracker, ByteRange{0, 100});
  };
  read_on();
  early.reset();
  eventually([&] {
    read_on();
    return drainer.is_done();
  });
}

}  // namespace
}  // namespace snapfs::test

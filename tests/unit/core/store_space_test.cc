// SPDX-License-Identifier: MIT
//
// A COW device without room, and what its table says about it.
#include "core/store_space.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/device_set.h"
#include "core/error.h"
#include "core/no_room_yet.h"
#include "tests/support/eventually.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/parked_thread.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr uint64_t kOriginSectors = 2048;
constexpr uint64_t kChunk = 8;  // sectors
constexpr unsigned kOld = 1;
constexpr unsigned kNew = 2;

template <typename Call>
int error_of(const Call& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return errno_of(error);
  }
  return 0;
}

constexpr uint64_t chunks_to_bytes(uint64_t chunks) {
  return chunks * kChunk * kSectorBytes;
}

// An origin `base`, and snapshots of it whose COW has room for some chunks.
class StoreSpaceTest : public testing::Test {
 protected:
  StoreSpaceTest() {
    stamp_device(*origin_, {0, kOriginSectors * kSectorBytes}, kOld);
    opener_.add("origin", origin_);
    set_.load({origin_table("base", "origin")});
  }

  ~StoreSpaceTest() override {
    for (std::thread& thread : threads_) thread.join();
  }

  static WhenFull waiting(milliseconds time) {
    WhenFull result;
    result.wait = time;
    return result;
  }
  static WhenFull refusing() {
    WhenFull result;
    result.refuse_origin = true;
    return result;
  }
  // In chunks.
  static WhenFull growing(uint64_t step, uint64_t max) {
    WhenFull result;
    result.grow = {chunks_to_bytes(step), chunks_to_bytes(max)};
    return result;
  }

  Table table_of(const std::string& name, WhenFull when_full, StoreType type) {
    Table table = snapshot_table(name, "base", name + "-cow", type, kChunk);
    SnapshotTable& target = snapshot_of(table);
    target.commit_interval = hours(1);
    target.space.when_full = when_full;
    return table;
  }

  // `room`: how many chunks the COW can take.
  void add(const std::string& name, uint64_t room, WhenFull when_full,
           StoreType type = StoreType::persistent) {
    auto memory = std::make_shared<MemoryDevice>(chunks_to_bytes(2 + room),
                                                 name + "-cow");
    auto faulty = std::make_shared<FaultyDevice>(memory);
    if (when_full.grow) memory->set_filesystem(uint64_t{1} << 40);
    opener_.add(name + "-cow", faulty);
    cows_[name] = memory;
    faults_[name] = faulty;
    set_.load({table_of(name, when_full, type)});
  }

  void grow(const std::string& name, uint64_t chunks) {
    cows_[name]->set_size(cows_[name]->size() + chunks_to_bytes(chunks));
  }
  uint64_t cow_chunks(const std::string& name) {
    return cows_[name]->size() / chunks_to_bytes(1);
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_.find(name)->live();
  }

  // Whole chunks.
  void write(const std::string& name, uint64_t chunk, uint64_t count = 1) {
    target(name)->write(chunks_to_bytes(chunk),
                        stamped(chunk * kChunk, count * kChunk, kNew));
  }
  int write_error(const std::string& name, uint64_t chunk, uint64_t count = 1) {
    return error_of([&] { write(name, chunk, count); });
  }

  // A writer in a thread of its own, that waits where it is told to. Counts
  // when it has been answered.
  void start_writer(const std::string& name, uint64_t chunk,
                    uint64_t count = 1) {
    threads_.emplace_back([=, this] {
      try {
        until_room([&] { write(name, chunk, count); });
        ++written_;
      } catch (const std::system_error& error) {
        EXPECT_EQ(errno_of(error), EIO);
        ++failed_;
      }
    });
  }

  bool shows(const std::string& name, uint64_t chunk, unsigned generation) {
    std::vector<std::byte> data(chunks_to_bytes(1));
    target(name)->read(chunks_to_bytes(chunk), data);
    return data == stamped(chunk * kChunk, kChunk, generation);
  }

  std::string status(const std::string& name) {
    return target(name)->status_line();
  }
  bool is_invalid(const std::string& name) {
    return status(name).ends_with(" Invalid");
  }
  uint64_t measure(const std::string& name, const std::string& key) {
    for (const Measure& each : target(name)->measures())
      if (each.key == key) return each.value;
    throw std::out_of_range(key);
  }
  bool waits(const std::string& name, unsigned count) {
    return measure(name, "waiting_for_room") == count;
  }
  std::string last_event(EventKind kind) {
    std::string text;
    for (const Event& event : events_.events())
      if (event.kind == kind) text = event.device + ": " + event.text;
    return text;
  }

  EventRecorder events_;
  MemoryOpener opener_;
  std::shared_ptr<MemoryDevice> origin_ =
      std::make_shared<MemoryDevice>(kOriginSectors * kSectorBytes, "origin");
  std::map<std::string, std::shared_ptr<MemoryDevice>> cows_;
  std::map<std::string, std::shared_ptr<FaultyDevice>> faults_;
  DeviceSet set_{opener_, events_};
  std::vector<std::thread> threads_;
  std::atomic<unsigned> written_{0};
  std::atomic<unsigned> failed_{0};
};

// --- wait --------------------------------------------------------------------

TEST_F(StoreSpaceTest, an_origin_write_waits_until_the_cow_has_grown) {
  add("snap", 1, waiting(hours(1)));
  write("base", 0);
  start_writer("base", 1);
  eventually([&] { return waits("snap", 1); });
  EXPECT_TRUE(shows("base", 1, kOld));
  EXPECT_EQ(last_event(EventKind::full),
            "snap: snap-cow is full: writers wait for room, 3600 s at most");

  grow("snap", 1);

  eventually([&] { return written_ == 1; });
  EXPECT_TRUE(shows("base", 1, kNew));
  EXPECT_TRUE(shows("snap", 1, kOld));
  EXPECT_EQ(events_.count(EventKind::full), 1u);
  EXPECT_EQ(last_event(EventKind::grow),
            "snap: snap-cow has 32 sectors now, it had 24");
}

TEST_F(StoreSpaceTest, a_snapshot_write_waits_until_the_cow_has_grown) {
  add("snap", 1, waiting(hours(1)));
  write("snap", 0);
  start_writer("snap", 1);
  eventually([&] { return waits("snap", 1); });

  grow("snap", 1);

  eventually([&] { return written_ == 1; });
  EXPECT_TRUE(shows("snap", 1, kNew));
  EXPECT_TRUE(shows("base", 1, kOld));
}

TEST_F(StoreSpaceTest, all_who_wait_go_on_when_there_is_room) {
  add("snap", 0, waiting(hours(1)));
  for (uint64_t i = 0; i < 4; ++i) start_writer("base", i);
  for (uint64_t i = 4; i < 8; ++i) start_writer("snap", i);
  eventually([&] { return waits("snap", 8); });

  for (unsigned i = 1; i <= 4; ++i) {
    grow("snap", 2);
    eventually([&] {
      return written_ == 2 * i && (i == 4 || waits("snap", 8 - 2 * i));
    });
  }
  EXPECT_EQ(events_.count(EventKind::invalid), 0u);
}

TEST_F(StoreSpaceTest, who_waits_holds_up_nobody_else) {
  add("full", 1, waiting(hours(1)));
  add("other", 100, {});
  write("base", 0);
  const std::string other = status("other");
  start_writer("base", 1);
  eventually([&] { return waits("full", 1); });

  // Nothing is reserved, no chunk is locked, no gate is held.
  EXPECT_EQ(status("other"), other);
  write("other", 1);
  write("full", 0);
  write("base", 0);
  target("full")->flush();
  target("other")->flush();
  target("base")->flush();
  add("late", 1, {});
  set_.suspend("other");
  set_.resume("other");
  EXPECT_EQ(written_, 0u);

  grow("full", 1);
  eventually([&] { return written_ == 1; });
  EXPECT_TRUE(shows("full", 1, kOld));
  EXPECT_TRUE(shows("late", 1, kOld));
}

TEST_F(StoreSpaceTest, trying_again_uses_nothing_up) {
  add("full", 0, waiting(hours(1)));
  add("other", 100, {});
  const std::string before = status("other");
  for (int i = 0; i < 100; ++i) {
    EXPECT_THROW(write("base", 0), NoRoomYet);
  }
  EXPECT_EQ(status("other"), before);
  grow("full", 1);
  write("base", 0);
}

TEST_F(StoreSpaceTest, after_the_deadline_a_p_store_is_invalid) {
  add("snap", 0, waiting(milliseconds(60)));

  until_room([&] { write("base", 0); });

  EXPECT_TRUE(is_invalid("snap"));
  EXPECT_TRUE(shows("base", 0, kNew));
  EXPECT_EQ(last_event(EventKind::full), "snap: no room after 60 ms");
}

TEST_F(StoreSpaceTest, after_the_deadline_a_po_store_overflows) {
  add("snap", 0, waiting(milliseconds(60)), StoreType::persistent_overflow);

  EXPECT_EQ(error_of([&] { until_room([&] { write("snap", 0); }); }), EIO);

  EXPECT_TRUE(status("snap").ends_with(" Overflow"));
}

TEST_F(StoreSpaceTest, the_deadline_is_not_begun_again_by_trying) {
  add("snap", 0, waiting(milliseconds(80)));
  const auto begin = std::chrono::steady_clock::now();
  while (!is_invalid("snap")) {
    try {
      write("base", 0);
    } catch (const NoRoomYet&) {
    }
    ASSERT_LT(std::chrono::steady_clock::now() - begin,
              std::chrono::seconds(30));
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(80));
}

TEST_F(StoreSpaceTest, those_who_never_come_back_use_no_ones_time) {
  add("snap", 0, waiting(milliseconds(60)));
  std::shared_ptr<Admission> gate;
  try {
    write("base", 0);
  } catch (const NoRoomYet& not_now) {
    gate = not_now.gate();
  }
  ASSERT_NE(gate, nullptr);
  // It opens again when the time is over, with nobody in front of it.
  eventually([&] { return !gate->is_closed(); });

  EXPECT_THROW(write("base", 0), NoRoomYet);
  EXPECT_FALSE(is_invalid("snap"));
}

TEST_F(StoreSpaceTest, an_invalid_snapshot_is_not_waited_for) {
  add("snap", 0, waiting(hours(1)));
  start_writer("base", 0);
  eventually([&] { return waits("snap", 1); });

  faults_["snap"]->inject({.ops = kAnyWrite, .error = EIO, .for_ever = true});
  faults_["snap"]->inject({.ops = kFlush, .error = EIO, .for_ever = true});
  grow("snap", 1);

  eventually([&] { return written_ == 1; });
  EXPECT_TRUE(is_invalid("snap"));
}

TEST_F(StoreSpaceTest, a_removed_snapshot_is_not_waited_for) {
  add("snap", 0, waiting(hours(1)));
  start_writer("base", 0);
  eventually([&] { return waits("snap", 1); });

  set_.remove("snap");

  eventually([&] { return written_ == 1; });
  EXPECT_TRUE(shows("base", 0, kNew));
}

TEST_F(StoreSpaceTest, a_new_table_decides_for_those_who_wait) {
  add("snap", 0, waiting(hours(1)));
  start_writer("base", 0);
  eventually([&] { return waits("snap", 1); });

  Table next = table_of("snap", refusing(), StoreType::persistent);
  next.activate = Activate::now;
  set_.load({next});

  eventually([&] { return failed_ == 1; });
  EXPECT_FALSE(is_invalid("snap"));
}

TEST_F(StoreSpaceTest, a_full_filesystem_below_a_sparse_cow_is_waited_for) {
  add("snap", 10, waiting(hours(1)));
  faults_["snap"]->inject({.ops = kWrite, .error = ENOSPC, .for_ever = true});
  const std::string before = status("snap");
  start_writer("base", 0);
  start_writer("snap", 1);
  eventually([&] { return waits("snap", 2); });
  EXPECT_EQ(last_event(EventKind::full),
            "snap: the filesystem of snap-cow is full: writers wait for room, "
            "3600 s at most");
  EXPECT_EQ(status("snap"), before);

  faults_["snap"]->heal();

  eventually([&] { return written_ == 2; });
  EXPECT_TRUE(shows("snap", 0, kOld));
  EXPECT_TRUE(shows("snap", 1, kNew));
}

// --- refuse ------------------------------------------------------------------

TEST_F(StoreSpaceTest, a_refused_origin_write_changes_nothing) {
  add("snap", 1, refusing());
  add("other", 100, {});
  write("base", 0);
  const std::string other = status("other");

  EXPECT_EQ(write_error("base", 1), EIO);

  EXPECT_TRUE(shows("base", 1, kOld));
  EXPECT_TRUE(shows("snap", 0, kOld));
  EXPECT_FALSE(is_invalid("snap"));
  EXPECT_EQ(status("other"), other);
  EXPECT_EQ(write_error("base", 0), 0);
  EXPECT_EQ(last_event(EventKind::full),
            "snap: snap-cow is full: writes that need room fail");
}

TEST_F(StoreSpaceTest, what_is_refused_is_told_once) {
  add("snap", 0, refusing());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(write_error("base", 1), EIO);
  EXPECT_EQ(events_.count(EventKind::full), 1u);

  grow("snap", 1);
  EXPECT_EQ(write_error("base", 1), 0);
  EXPECT_EQ(write_error("base", 2), EIO);
  EXPECT_EQ(events_.count(EventKind::full), 2u);
}

TEST_F(StoreSpaceTest, a_refused_snapshot_write_makes_nothing_invalid) {
  add("snap", 1, refusing());
  write("snap", 0);

  EXPECT_EQ(write_error("snap", 1), EIO);
  EXPECT_TRUE(shows("snap", 1, kOld));
  EXPECT_EQ(write_error("snap", 0), 0);
  grow("snap", 1);
  EXPECT_EQ(write_error("snap", 1), 0);
}

TEST_F(StoreSpaceTest, one_that_refuses_saves_one_that_would_be_lost) {
  add("lost", 0, {});
  add("kept", 0, refusing());

  EXPECT_EQ(write_error("base", 0), EIO);

  EXPECT_FALSE(is_invalid("lost"));
  EXPECT_FALSE(is_invalid("kept"));
}

TEST_F(StoreSpaceTest, a_copy_without_storage_is_refused) {
  add("snap", 10, refusing());
  faults_["snap"]->inject({.ops = kWrite, .error = ENOSPC});

  EXPECT_EQ(write_error("base", 0), EIO);
  EXPECT_TRUE(shows("base", 0, kOld));
  EXPECT_EQ(write_error("base", 0), 0);
  EXPECT_TRUE(shows("snap", 0, kOld));
}

TEST_F(StoreSpaceTest, who_has_waited_in_vain_is_refused) {
  WhenFull both = waiting(milliseconds(60));
  both.refuse_origin = true;
  add("snap", 0, both);

  EXPECT_EQ(error_of([&] { until_room([&] { write("base", 0); }); }), EIO);

  EXPECT_FALSE(is_invalid("snap"));
  EXPECT_EQ(write_error("base", 0), EIO);  // at once
}

// --- grow --------------------------------------------------------------------

TEST_F(StoreSpaceTest, a_cow_is_extended_before_it_is_full) {
  add("snap", 8, growing(4, 50));
  for (uint64_t i = 0; i < 48; ++i) {
    ASSERT_EQ(write_error("base", i), 0) << i;
    EXPECT_GE(cow_chunks("snap"), std::min<uint64_t>(50, 2 + i + 1 + 2)) << i;
    EXPECT_LE(cow_chunks("snap"), std::max<uint64_t>(10, 2 + i + 1 + 6)) << i;
  }
  EXPECT_EQ(events_.count(EventKind::grow), 10u);
  EXPECT_EQ(cow_chunks("snap"), 50u);

  EXPECT_EQ(write_error("base", 48), 0);
  EXPECT_TRUE(is_invalid("snap"));
}

TEST_F(StoreSpaceTest, thresholds_are_those_of_what_a_cow_may_become) {
  add("snap", 8, growing(4, 102));
  for (uint64_t i = 0; i < 79; ++i) write("base", i);
  EXPECT_EQ(events_.count(EventKind::usage), 0u);
  write("base", 79);
  EXPECT_EQ(last_event(EventKind::usage).substr(0, 22),
            "snap: 80% used: 656 of");
}

TEST_F(StoreSpaceTest, a_cow_is_extended_by_what_a_large_write_needs) {
  add("snap", 1, growing(1, 1000));
  EXPECT_EQ(write_error("base", 0, 100), 0);
  EXPECT_FALSE(is_invalid("snap"));
  for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(shows("snap", i, kOld));
}

TEST_F(StoreSpaceTest, a_cow_is_not_extended_beyond_its_filesystem) {
  WhenFull when_full = growing(4, 1000);
  when_full.refuse_origin = true;
  add("snap", 1, when_full);
  cows_["snap"]->set_filesystem(chunks_to_bytes(20));
  uint64_t i = 0;
  while (write_error("base", i) == 0) ++i;

  EXPECT_EQ(i, 18u);
  EXPECT_EQ(cow_chunks("snap"), 20u);
  EXPECT_FALSE(is_invalid("snap"));
  EXPECT_EQ(events_.count(EventKind::full), 2u);

  cows_["snap"]->set_filesystem(uint64_t{1} << 40);
  EXPECT_EQ(write_error("base", i), 0);
}

TEST_F(StoreSpaceTest, a_cow_that_cannot_be_extended_is_refused) {
  cows_["snap"] = opener_.add("snap-cow", chunks_to_bytes(10));
  Table table = table_of("snap", growing(4, 50), StoreType::persistent);
  table.name = "snap";
  try {
    set_.load({table});
    FAIL() << "it was loaded";
  } catch (const TableError& error) {
    EXPECT_EQ(error.error(), EINVAL);
    EXPECT_NE(error.message().find("not a regular file"), std::string::npos)
        << error.message();
  }
}

// --- overflow ----------------------------------------------------------------

TEST_F(StoreSpaceTest, resume_clears_an_overflow_when_there_is_room) {
  add("snap", 1, {}, StoreType::persistent_overflow);
  EXPECT_EQ(write_error("snap", 0, 2), EIO);
  write("base", 0);
  EXPECT_TRUE(status("snap").ends_with(" Overflow"));
  EXPECT_EQ(error_of([&] { set_.resume("snap"); }), ENOSPC);
  EXPECT_TRUE(status("snap").ends_with(" Overflow"));

  grow("snap", 2);
  EXPECT_TRUE(status("snap").ends_with(" Overflow"));
  set_.resume("snap");

  EXPECT_EQ(write_error("snap", 0, 2), 0);
  EXPECT_TRUE(shows("snap", 1, kNew));
  EXPECT_EQ(target("snap")->details().find("reason"), std::string::npos);
}

TEST_F(StoreSpaceTest, a_suspended_overflow_is_cleared_by_its_resume) {
  add("snap", 0, {}, StoreType::persistent_overflow);
  EXPECT_EQ(write_error("snap", 0), EIO);
  set_.suspend("snap");
  set_.resume("snap");
  EXPECT_TRUE(status("snap").ends_with(" Overflow"));

  grow("snap", 1);
  set_.suspend("snap");
  set_.resume("snap");
  EXPECT_EQ(write_error("snap", 0), 0);
}

// --- thresholds --------------------------------------------------------------

TEST_F(StoreSpaceTest, thresholds_are_told_when_they_are_reached) {
  add("snap", 100, {});
  for (uint64_t i = 0; i < 79; ++i) write("base", i);
  EXPECT_EQ(events_.count(EventKind::usage), 0u);

  write("base", 79);
  EXPECT_EQ(last_event(EventKind::usage),
            "snap: 80% used: 656 of 816 sectors of snap-cow");
  for (uint64_t i = 80; i < 95; ++i) write("base", i);
  EXPECT_EQ(events_.count(EventKind::usage), 2u);
  EXPECT_EQ(last_event(EventKind::usage).substr(0, 13), "snap: 95% use");
}

TEST_F(StoreSpaceTest, a_threshold_is_told_again_after_growing) {
  add("snap", 10, {});
  for (uint64_t i = 0; i < 8; ++i) write("base", i);
  EXPECT_EQ(events_.count(EventKind::usage), 1u);
  grow("snap", 10);
  for (uint64_t i = 8; i < 16; ++i) write("base", i);
  EXPECT_EQ(events_.count(EventKind::usage), 2u);
}

TEST_F(StoreSpaceTest, the_table_sets_the_thresholds) {
  opener_.add("snap-cow", chunks_to_bytes(12));
  Table table = table_of("snap", {}, StoreType::persistent);
  snapshot_of(table).space.thresholds = {50};
  set_.load({table});
  for (uint64_t i = 0; i < 10; ++i) write("base", i);
  EXPECT_EQ(events_.count(EventKind::usage), 1u);
}

TEST_F(StoreSpaceTest, a_store_that_is_loaded_full_is_told) {
  add("snap", 10, {});
  for (uint64_t i = 0; i < 9; ++i) write("base", i);
  set_.remove("snap");
  set_.load({table_of("snap", {}, StoreType::persistent)});
  EXPECT_EQ(events_.count(EventKind::usage), 2u);
}

TEST_F(StoreSpaceTest, status_tells_how_much_is_used) {
  add("snap", 8, {});
  write("base", 0);
  EXPECT_EQ(measure("snap", "cow_used_percent"), 12u);
}

// --- no space for records ----------------------------------------------------

// Every write to the COW in turn finds its filesystem full, and those after it.
class NoStorage : public StoreSpaceTest {
 protected:
  // Origin and snapshot writes, over the end of a metadata area, and flushes.
  void work() {
    for (uint64_t i = 0; i < 40; ++i) {
      const uint64_t sector = 3 * i;
      // Own chunks of one sector are excepted first, so that the origin's
      // write finds a record to commit.
      until_done([&] {
        target("snap")->write(sector * kSectorBytes, stamped(sector, 1, kNew));
      });
      until_done([&] {
        target("base")->write((sector + 1) * kSectorBytes,
                              stamped(sector + 1, 1, kNew));
      });
      until_done([&] {
        target("base")->write(sector * kSectorBytes, stamped(sector, 1, kNew));
      });
      if (i % 8 == 0) until_done([&] { target("snap")->flush(); });
    }
    until_done([&] { target("snap")->flush(); });
  }

  // A second try, after somebody has made room.
  template <typename Call>
  void until_done(const Call& call) {
    try {
      call();
    } catch (const std::system_error& error) {
      ++failures_;
      EXPECT_FALSE(is_invalid("snap")) << error.what();
      faults_["snap"]->heal();
      EXPECT_NO_THROW(call());
    }
  }

  void check() {
    for (uint64_t i = 0; i < 40; ++i) {
      ASSERT_TRUE(shows_sector("snap", 3 * i, kNew));
      ASSERT_TRUE(shows_sector("snap", 3 * i + 1, kOld));
      ASSERT_TRUE(shows_sector("base", 3 * i, kNew));
      ASSERT_TRUE(shows_sector("base", 3 * i + 1, kNew));
    }
  }
  bool shows_sector(const std::string& name, uint64_t sector,
                    unsigned generation) {
    std::vector<std::byte> data(kSectorBytes);
    target(name)->read(sector * kSectorBytes, data);
    return data == stamped(sector, 1, generation);
  }

  void run(WhenFull when_full) {
    bool has_failed = true;
    for (uint64_t skip = 0; has_failed; ++skip) {
      SCOPED_TRACE("from write " + std::to_string(skip) + " on");
      stamp_device(*origin_, {0, kOriginSectors * kSectorBytes}, kOld);
      add_small_chunks(when_full);
      const unsigned before = failures_;
      faults_["snap"]->inject({.ops = kAnyWrite | kZero,
                               .skip = skip,
                               .error = ENOSPC,
                               .for_ever = true});
      work();
      has_failed = failures_ != before;
      faults_["snap"]->heal();
      check();
      // It is all on the COW.
      Table table = *set_.find("snap")->live_table();
      set_.remove("snap");
      snapshot_of(table).cow.accept_stale = true;
      set_.load({table});
      check();
      set_.remove("snap");
      if (HasFailure()) return;
    }
    EXPECT_GT(failures_, 100u);
  }

  void add_small_chunks(WhenFull when_full) {
    auto memory = std::make_shared<MemoryDevice>(400 * kSectorBytes, "cow");
    faults_["snap"] = std::make_shared<FaultyDevice>(memory);
    opener_.add("snap-cow", faults_["snap"]);
    Table table =
        snapshot_table("snap", "base", "snap-cow", StoreType::persistent, 1);
    snapshot_of(table).commit_interval = hours(1);
    snapshot_of(table).space.when_full = when_full;
    set_.load({table});
  }

  unsigned failures_ = 0;
};

TEST_F(NoStorage, a_snapshot_that_refuses_loses_nothing) { run(refusing()); }

TEST_F(NoStorage, a_snapshot_that_is_waited_for_loses_nothing) {
  run(waiting(hours(1)));
}

// --- a device that shrinks ---------------------------------------------------

// Can be cut off, and keeps what lies behind the cut.
class CutDevice : public MemoryDevice {
 public:
  using MemoryDevice::MemoryDevice;
  uint64_t size() const override {
    return std::min<uint64_t>(cut_, MemoryDevice::size());
  }
  void read(uint64_t offset, std::span<std::byte> into) override {
    require_inside(offset + into.size());
    MemoryDevice::read(offset, into);
  }
  void write(uint64_t offset, std::span<const std::byte> from) override {
    require_inside(offset + from.size());
    MemoryDevice::write(offset, from);
  }
  void cut_at(uint64_t bytes) { cut_ = bytes; }

 private:
  void require_inside(uint64_t end) const {
    if (end > size()) throw_errno(EIO, "behind the end of", name());
  }
  std::atomic<uint64_t> cut_{~uint64_t{0}};
};

class ShrinkingCow : public StoreSpaceTest {
 protected:
  explicit ShrinkingCow() {
    opener_.add("snap-cow", cow_);
    set_.load({table()});
    for (uint64_t i = 0; i < 10; ++i) write("base", i);
    write("snap", 20);  // not committed
  }
  Table table() { return table_of("snap", {}, StoreType::persistent); }

  std::shared_ptr<CutDevice> cow_ =
      std::make_shared<CutDevice>(chunks_to_bytes(100), "snap-cow");
};

TEST_F(ShrinkingCow, what_it_does_not_use_is_not_missed) {
  cow_->cut_at(chunks_to_bytes(13));
  EXPECT_EQ(error_of([&] { target("snap")->flush(); }), 0);
  EXPECT_EQ(write_error("snap", 3), 0);
  EXPECT_TRUE(shows("snap", 9, kOld));
}

TEST_F(ShrinkingCow, what_it_uses_is_not_given_up) {
  cow_->cut_at(chunks_to_bytes(6));
  EXPECT_EQ(write_error("base", 30), EIO);
  EXPECT_EQ(write_error("base", 20), EIO);
  EXPECT_EQ(write_error("snap", 31), EIO);
  EXPECT_EQ(write_error("snap", 9), EIO);
  EXPECT_EQ(error_of([&] { target("snap")->flush(); }), EIO);
  EXPECT_EQ(error_of([&] { shows("snap", 9, kOld); }), EIO);
  EXPECT_TRUE(shows("snap", 2, kOld));
  EXPECT_TRUE(shows("base", 30, kOld));
  EXPECT_FALSE(is_invalid("snap"));
  EXPECT_EQ(events_.count(EventKind::error), 1u);
  EXPECT_EQ(last_event(EventKind::error),
            "snap: snap-cow has 48 sectors, 104 are in use: nothing new is "
            "written until it is as long again");

  cow_->cut_at(chunks_to_bytes(100));
  EXPECT_EQ(write_error("base", 30), 0);
  EXPECT_EQ(write_error("base", 20), 0);
  EXPECT_EQ(error_of([&] { target("snap")->flush(); }), 0);
  EXPECT_TRUE(shows("snap", 9, kOld));
  EXPECT_TRUE(shows("snap", 20, kNew));
  EXPECT_TRUE(shows("snap", 30, kOld));
}

TEST_F(ShrinkingCow, it_is_refused_when_it_is_loaded) {
  set_.remove("snap");
  cow_->cut_at(chunks_to_bytes(6));
  try {
    set_.load({table()});
    FAIL() << "it was loaded";
  } catch (const TableError& error) {
    EXPECT_NE(error.message().find("lies beyond the end of the device"),
              std::string::npos)
        << error.message();
  }
  cow_->cut_at(chunks_to_bytes(100));
  set_.load({table()});
  EXPECT_TRUE(shows("snap", 9, kOld));
}

// --- the end of an area ------------------------------------------------------

// 32 records fit into an area, but the last one is of use only if there is a
// next area.
TEST_F(StoreSpaceTest, a_cow_that_ends_behind_an_area_is_full_not_lost) {
  for (StoreType type :
       {StoreType::persistent, StoreType::persistent_overflow}) {
    auto memory = std::make_shared<MemoryDevice>(34 * kSectorBytes, "cow");
    opener_.add("edge-cow", memory);
    Table table = snapshot_table("edge", "base", "edge-cow", type, 1);
    snapshot_of(table).space.when_full = refusing();
    set_.load({table});
    uint64_t sector = 0;
    auto save_one = [&] {
      return error_of([&] {
        target("base")->write(sector * kSectorBytes, stamped(sector, 1, kNew));
      });
    };
    while (save_one() == 0) ++sector;

    EXPECT_EQ(sector, 31u);
    EXPECT_EQ(status("edge"), "0 2048 snapshot 33/34 2");
    memory->set_size(35 * kSectorBytes);
    EXPECT_EQ(save_one(), 0);
    EXPECT_EQ(status("edge"), "0 2048 snapshot 35/35 3");
    ++sector;
    EXPECT_EQ(save_one(), EIO);
    set_.remove("edge");
    set_.load({table});
    EXPECT_EQ(status("edge"), "0 2048 snapshot 35/35 3");
    set_.remove("edge");
    stamp_device(*origin_, {0, kOriginSectors * kSectorBytes}, kOld);
  }
}

// --- rate --------------------------------------------------------------------

TEST(UsageRateTest, it_is_that_of_the_last_minute) {
  using std::chrono::seconds;
  UsageRate rate;
  const UsageRate::Clock::time_point begin{};
  for (int i = 0; i <= 300; ++i) {
    // First slowly, then 10 a second.
    const int used = i < 100 ? i : 100 + 10 * (i - 100);
    rate.note(static_cast<uint64_t>(used), begin + seconds(i));
  }
  const auto left = rate.time_until(1000, begin + seconds(300));
  ASSERT_TRUE(left);
  EXPECT_GE(*left, seconds(90));
  EXPECT_LE(*left, seconds(100));
}

TEST(UsageRateTest, what_stands_still_is_never_full) {
  using std::chrono::seconds;
  UsageRate rate;
  const UsageRate::Clock::time_point begin{};
  EXPECT_FALSE(rate.time_until(1000, begin));
  rate.note(5, begin);
  EXPECT_FALSE(rate.time_until(1000, begin + seconds(20)));
  rate.note(500, begin + seconds(21));
  EXPECT_TRUE(rate.time_until(1000, begin + seconds(21)));
  EXPECT_FALSE(rate.time_until(1000, begin + seconds(500)));
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "core/device_set.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/disk_format.h"
#include "core/error.h"
#include "tests/support/counting_device.h"
#include "tests/support/eventually.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kSectors = 2048;

template <typename Call>
int error_of(const Call& call) {
  try {
    call();
  } catch (const TableError& error) {
    return error.error();
  } catch (const std::exception& error) {
    return errno_of(error);
  }
  return 0;
}

class Request : public Parked {
 public:
  void wake() override { woken_ = true; }
  bool woken() const { return woken_; }

 private:
  std::atomic<bool> woken_{false};
};

// An origin `base`, and devices for the COWs of `s` and `t`.
class DeviceSetTest : public testing::Test {
 protected:
  DeviceSetTest() {
    stamp_device(*origin_memory_, {0, kSectors * kSectorBytes}, 1);
    opener_.add("/origin", origin_);
    opener_.add("/s", cow_);
    opener_.add("/t", 2 * kSectors * kSectorBytes);
    set_->load({origin_table("base", "/origin")});
  }

  static Table snapshot(const std::string& name) {
    Table table =
        snapshot_table(name, "base", "/" + name, StoreType::persistent, 8);
    snapshot_of(table).commit_interval = std::chrono::hours(1);
    return table;
  }

  void load(const std::string& name) { set_->load({snapshot(name)}); }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_->find(name)->live();
  }

  void write(const std::string& name, uint64_t first, unsigned generation) {
    target(name)->write(first * kSectorBytes, stamped(first, 8, generation));
  }

  std::string differs(const std::string& name, uint64_t first,
                      unsigned generation) {
    std::vector<std::byte> data(8 * kSectorBytes);
    target(name)->read(first * kSectorBytes, data);
    return stamp_difference(data, first, generation);
  }

  void reopen() {
    set_.reset();
    set_ = std::make_unique<DeviceSet>(opener_, events_);
  }

  MemoryOpener opener_;
  EventRecorder events_;
  std::shared_ptr<MemoryDevice> origin_memory_ =
      std::make_shared<MemoryDevice>(kSectors * kSectorBytes, "/origin");
  std::shared_ptr<CountingDevice> origin_ =
      std::make_shared<CountingDevice>(origin_memory_);
  std::shared_ptr<MemoryDevice> cow_memory_ =
      std::make_shared<MemoryDevice>(2 * kSectors * kSectorBytes, "/s");
  std::shared_ptr<FaultyDevice> cow_faulty_ =
      std::make_shared<FaultyDevice>(cow_memory_);
  std::shared_ptr<CountingDevice> cow_ =
      std::make_shared<CountingDevice>(cow_faulty_);
  std::unique_ptr<DeviceSet> set_ =
      std::make_unique<DeviceSet>(opener_, events_);
};

TEST_F(DeviceSetTest, devices_are_found_by_name_and_listed_in_order) {
  load("t");
  load("s");

  std::vector<std::string> names;
  for (const auto& device : set_->devices()) names.push_back(device->name());
  EXPECT_EQ(names, (std::vector<std::string>{"base", "s", "t"}));
  EXPECT_EQ(set_->find("s")->name(), "s");
  EXPECT_EQ(set_->find("none"), nullptr);
}

TEST_F(DeviceSetTest, a_live_device_shows_its_table_and_state) {
  load("s");

  auto device = set_->find("s");

  EXPECT_EQ(device->live_table()->name, "s");
  EXPECT_EQ(device->next_table(), nullptr);
  EXPECT_EQ(device->state_text(), "live\n");
}

TEST_F(DeviceSetTest, origins_have_dmsetups_lines) {
  EXPECT_EQ(target("base")->status_line(), "0 2048 snapshot-origin ");
  EXPECT_EQ(target("base")->table_line(), "0 2048 snapshot-origin /origin");
}

TEST_F(DeviceSetTest, loads_and_removals_are_events) {
  load("s");
  set_->remove("s");

  auto events = events_.events();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].kind, EventKind::load);
  EXPECT_EQ(events[0].device, "base");
  EXPECT_EQ(events[0].text, "0 2048 snapshot-origin /origin");
  EXPECT_EQ(events[1].kind, EventKind::load);
  EXPECT_EQ(events[1].device, "s");
  EXPECT_EQ(events[1].text, "0 2048 snapshot /origin /s P 8");
  EXPECT_EQ(events[2].kind, EventKind::remove);
  EXPECT_EQ(events[2].device, "s");
}

// --- Removal -----------------------------------------------------------------

TEST_F(DeviceSetTest, a_device_that_does_not_exist_cannot_be_removed) {
  EXPECT_EQ(error_of([&] { set_->remove("none"); }), ENOENT);
}

TEST_F(DeviceSetTest, an_open_device_is_not_removed) {
  load("s");
  auto device = set_->find("s");
  ASSERT_TRUE(device->try_open());

  EXPECT_EQ(error_of([&] { set_->remove("s"); }), EBUSY);

  EXPECT_EQ(set_->find("s"), device);
  EXPECT_EQ(device->state_text(), "live\n");
  device->closed();
  set_->remove("s");
  EXPECT_EQ(set_->find("s"), nullptr);
}

TEST_F(DeviceSetTest, a_removed_device_cannot_be_opened_any_more) {
  load("s");
  auto device = set_->find("s");

  set_->remove("s");

  EXPECT_FALSE(device->try_open());
  EXPECT_EQ(device->live(), nullptr);
  EXPECT_EQ(device->state_text(), "removed\n");
}

TEST_F(DeviceSetTest, a_removed_device_has_given_up_its_claim) {
  load("s");
  EXPECT_EQ(opener_.open_count("/s"), 1u);

  set_->remove("s");

  EXPECT_EQ(opener_.open_count("/s"), 0u);
}

TEST_F(DeviceSetTest, removal_makes_everything_durable) {
  load("s");
  write("s", 0, 3);

  set_->remove("s");

  EXPECT_EQ(unpack_record(read_range(*cow_memory_, {4096, 16})).new_chunk, 2u);
}

TEST_F(DeviceSetTest, a_removed_snapshot_takes_no_more_copies) {
  load("s");
  set_->remove("s");
  cow_->reset_counts();

  write("base", 0, 2);

  EXPECT_EQ(cow_->counts().writes, 0u);
}

TEST_F(DeviceSetTest, removal_waits_for_requests_inside) {
  load("s");
  auto device = set_->find("s");
  Request request;
  auto pass = device->admission().enter(request);
  std::atomic<bool> removed{false};
  std::thread remover([&] {
    set_->remove("s");
    removed = true;
  });
  eventually([&] { return device->admission().is_closed(); });
  Request late;
  EXPECT_FALSE(device->admission().enter(late).has_value());
  EXPECT_NE(device->live(), nullptr);
  EXPECT_FALSE(removed);

  pass.reset();

  remover.join();
  EXPECT_TRUE(late.woken());
  EXPECT_EQ(device->live(), nullptr);
}

TEST_F(DeviceSetTest, removal_of_one_snapshot_keeps_the_others) {
  load("s");
  load("t");

  set_->remove("s");
  write("base", 0, 2);

  EXPECT_EQ(differs("t", 0, 1), "");
}

TEST_F(DeviceSetTest, removal_with_a_dead_cow_is_told_and_succeeds) {
  load("s");
  write("s", 0, 3);
  cow_faulty_->inject({.ops = kAnyOp, .for_ever = true});

  set_->remove("s");

  EXPECT_GE(events_.count(EventKind::error), 1u);
  EXPECT_EQ(events_.count(EventKind::invalid), 1u);
  EXPECT_EQ(set_->find("s"), nullptr);
}

// --- Durability --------------------------------------------------------------

TEST_F(DeviceSetTest, everything_is_there_after_the_set_has_ended) {
  load("s");
  load("t");
  write("s", 16, 3);
  write("t", 24, 4);
  write("base", 0, 2);

  reopen();
  set_->load({snapshot("t"), snapshot("s"), origin_table("base", "/origin")});

  EXPECT_EQ(differs("s", 16, 3), "");
  EXPECT_EQ(differs("t", 24, 4), "");
  EXPECT_EQ(differs("base", 0, 2), "");
  EXPECT_EQ(differs("s", 0, 1), "");
  EXPECT_EQ(differs("t", 0, 1), "");
}

TEST_F(DeviceSetTest, the_end_gives_up_all_claims) {
  load("s");

  set_.reset();

  for (const char* path : {"/origin", "/s", "/t"}) {
    EXPECT_EQ(opener_.open_count(path), 0u) << path;
  }
}

TEST_F(DeviceSetTest, flush_all_makes_every_device_durable) {
  load("s");
  write("s", 16, 3);
  cow_->reset_counts();
  origin_->reset_counts();

  set_->flush_all();

  EXPECT_EQ(cow_->counts().durable_writes, 1u);
  EXPECT_EQ(origin_->counts().flushes, 1u);
}

TEST_F(DeviceSetTest, an_error_of_flush_all_is_an_event_and_told_again) {
  load("s");
  write("s", 16, 3);
  cow_faulty_->inject({.ops = kFlush});

  set_->flush_all();

  ASSERT_EQ(events_.count(EventKind::error), 1u);
  EXPECT_EQ(error_of([&] { target("s")->flush(); }), EIO);
}

TEST_F(DeviceSetTest, records_are_committed_by_themselves) {
  Table table = snapshot("s");
  snapshot_of(table).commit_interval = std::chrono::milliseconds(5);
  set_->load({table});
  cow_->reset_counts();

  write("s", 16, 3);

  eventually([&] { return cow_->counts().durable_writes == 1; });
}

// --- The moment of a snapshot ------------------------------------------------

TEST_F(DeviceSetTest, a_snapshot_waits_for_origin_writes_under_way) {
  load("t");
  origin_->hold(kWrite);
  std::thread writer([&] { write("base", 0, 2); });
  origin_->wait_until_held(kWrite, 1);
  std::atomic<bool> loaded{false};
  std::thread loader([&] {
    load("s");
    loaded = true;
  });
  give_others_time();
  EXPECT_FALSE(loaded);

  origin_->release(kWrite);

  writer.join();
  loader.join();
  EXPECT_EQ(differs("s", 0, 2), "") << "the write was before the snapshot";
  EXPECT_EQ(differs("t", 0, 1), "");
}

TEST_F(DeviceSetTest, origin_writes_wait_while_a_snapshot_is_taken) {
  origin_->hold(kFlush);
  std::thread loader([&] { load("s"); });
  origin_->wait_until_held(kFlush, 1);
  std::atomic<bool> written{false};
  std::thread writer([&] {
    write("base", 0, 2);
    written = true;
  });
  give_others_time();
  EXPECT_FALSE(written);

  origin_->release(kFlush);

  loader.join();
  writer.join();
  EXPECT_EQ(differs("s", 0, 1), "") << "the write was after the snapshot";
  EXPECT_EQ(differs("base", 0, 2), "");
}

TEST_F(DeviceSetTest, reads_go_on_while_a_snapshot_is_taken) {
  load("t");
  origin_->hold(kFlush);
  std::thread loader([&] { load("s"); });
  origin_->wait_until_held(kFlush, 1);

  EXPECT_EQ(differs("base", 0, 1), "");
  EXPECT_EQ(differs("t", 0, 1), "");

  origin_->release(kFlush);
  loader.join();
}

TEST_F(DeviceSetTest, a_group_is_taken_at_one_point_of_all_its_origins) {
  auto other = std::make_shared<CountingDevice>(
      std::make_shared<MemoryDevice>(kSectors * kSectorBytes, "/other"));
  opener_.add("/other", other);
  set_->load({origin_table("other", "/other")});
  Table second = snapshot("t");
  snapshot_of(second).origin = "other";
  origin_->hold(kFlush);
  std::thread loader([&] { set_->load({snapshot("s"), second}); });
  origin_->wait_until_held(kFlush, 1);
  std::atomic<unsigned> written{0};
  std::vector<std::thread> writers;
  for (const char* name : {"base", "other"}) {
    writers.emplace_back([&, name] {
      write(name, 0, 2);
      ++written;
    });
  }
  give_others_time();
  EXPECT_EQ(written, 0u) << "both origins stand still";

  origin_->release(kFlush);

  loader.join();
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(differs("s", 0, 1), "");
  std::vector<std::byte> data(4096);
  target("t")->read(0, data);
  EXPECT_EQ(data, std::vector<std::byte>(4096));
}

// --- Stale and invalid stores ------------------------------------------------

TEST_F(DeviceSetTest, a_store_is_loaded_again_if_its_origin_has_rested) {
  load("s");
  write("base", 0, 2);
  set_->remove("s");

  load("s");

  EXPECT_EQ(differs("s", 0, 1), "");
}

TEST_F(DeviceSetTest, a_store_that_its_origin_has_outgrown_is_refused) {
  load("s");
  set_->remove("s");
  write("base", 0, 2);

  EXPECT_EQ(error_of([&] { load("s"); }), ESTALE);

  EXPECT_EQ(opener_.open_count("/s"), 0u);
  EXPECT_EQ(error_of([&] { load("s"); }), ESTALE) << "it stays refused";
}

TEST_F(DeviceSetTest, the_refusal_of_a_stale_store_names_the_way_out) {
  load("s");
  set_->remove("s");
  write("base", 0, 2);

  try {
    load("s");
    FAIL() << "it was accepted";
  } catch (const TableError& error) {
    EXPECT_STREQ(error.what(),
                 "s.yaml:3:6: stale store: the origin was written after /s had "
                 "been removed, so it no longer shows the old content; "
                 "`stale: accept` loads it all the same");
  }
}

TEST_F(DeviceSetTest, a_stale_store_that_is_accepted_loads) {
  load("s");
  set_->remove("s");
  write("base", 0, 2);
  Table table = snapshot("s");
  snapshot_of(table).cow.accept_stale = true;

  set_->load({table});

  EXPECT_EQ(differs("s", 0, 2), "");
}

TEST_F(DeviceSetTest, a_store_of_another_origin_is_not_stale) {
  load("s");
  set_->remove("s");
  write("base", 0, 2);
  opener_.add("/other", kSectors * kSectorBytes);
  Table table = snapshot("s");
  snapshot_of(table).origin = "/other";
  snapshot_of(table).origin_path = "/other";

  set_->load({table});

  SUCCEED() << "it was accepted";
}

TEST_F(DeviceSetTest, an_emptied_device_is_not_stale) {
  load("s");
  set_->remove("s");
  write("base", 0, 2);
  cow_memory_->zero({0, 8192});

  load("s");

  EXPECT_EQ(target("s")->status_line(), "0 2048 snapshot 16/4096 16");
}

TEST_F(DeviceSetTest, an_origin_written_under_another_name_makes_stale) {
  load("s");
  set_->remove("s");
  set_->remove("base");
  set_->load({origin_table("base", "/origin")});
  write("base", 0, 2);

  EXPECT_EQ(error_of([&] { load("s"); }), ESTALE);
}

TEST_F(DeviceSetTest, an_invalid_snapshot_loads_again_as_invalid) {
  load("s");
  cow_memory_->set_size(16 * kSectorBytes);
  write("base", 0, 2);
  ASSERT_EQ(target("s")->status_line(), "0 2048 snapshot Invalid");
  set_->remove("s");
  write("base", 64, 2);

  load("s");

  EXPECT_EQ(target("s")->status_line(), "0 2048 snapshot Invalid");
}

TEST_F(DeviceSetTest, a_snapshot_whose_end_was_not_recorded_is_not_loaded) {
  load("s");
  cow_faulty_->inject({.ops = kAnyOp, .for_ever = true});
  write("base", 0, 2);
  cow_faulty_->heal();
  set_->remove("s");

  try {
    load("s");
    FAIL() << "it was accepted";
  } catch (const TableError& error) {
    EXPECT_STREQ(error.what(),
                 "s.yaml:3:6: /s holds a snapshot that became invalid, which "
                 "could not be recorded on it");
    EXPECT_EQ(error.error(), EIO);
  }
}

// --- All at once -------------------------------------------------------------

// Loads, removals and writes from several threads.
TEST_F(DeviceSetTest, loads_and_removals_beside_writes_lose_nothing) {
  load("t");
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (uint64_t i = 0; i < 2; ++i) {
    writers.emplace_back([&, i] {
      for (uint64_t turn = 0; !stop; ++turn) {
        write("base", 8 * (2 * (turn % 100) + i), 2);
      }
    });
  }
  std::thread finder([&] {
    while (!stop) {
      for (const auto& device : set_->devices()) {
        if (auto live = device->live()) live->status_line();
      }
      set_->flush_all();
    }
  });

  for (int round = 0; round < 30; ++round) {
    Table table = snapshot("s");
    snapshot_of(table).cow.accept_stale = true;
    set_->load({table});
    std::vector<std::byte> first(4096);
    target("s")->read(0, first);
    std::vector<std::byte> second(4096);
    target("s")->read(0, second);
    EXPECT_EQ(first, second) << "round " << round;
    set_->remove("s");
  }

  stop = true;
  for (std::thread& writer : writers) writer.join();
  finder.join();
  for (uint64_t first = 0; first < kSectors; first += 8) {
    ASSERT_EQ(differs("t", first, 1), "");
  }
}

}  // namespace
}  // namespace snapfs::test

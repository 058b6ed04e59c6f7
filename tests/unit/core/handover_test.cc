// SPDX-License-Identifier: MIT
//
// Handover, step by step as a real kernel does it where both do the same, and
// where snapfs is safer on purpose.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/error.h"
#include "tests/support/counting_device.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kSectors = 32768;  // 16 MiB
constexpr uint64_t kChunk = 4096;

class HandoverTest : public testing::Test {
 protected:
  HandoverTest() {
    auto origin = std::make_shared<MemoryDevice>(kSectors * 512, "origin");
    stamp_device(*origin, {0, kSectors * 512}, 1);
    opener_.add("origin", origin);
    cow_ = std::make_shared<CountingDevice>(
        std::make_shared<MemoryDevice>(kSectors * 128, "cow"));
    opener_.add("cow", cow_);
    set_.load({origin_table("orig", "origin"), table("A")});
  }

  static Table table(const std::string& name,
                     Activate activate = Activate::on_freeze,
                     StoreType type = StoreType::persistent,
                     uint64_t chunk = 8) {
    Table made = snapshot_table(name, "orig", "cow", type, chunk);
    made.activate = activate;
    return made;
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_.find(name)->live();
  }
  std::string state(const std::string& name) {
    return set_.find(name)->state_text();
  }
  std::string status(const std::string& name) {
    return target(name)->status_line();
  }

  void write(const std::string& name, uint64_t chunk, uint64_t count,
             uint64_t generation) {
    target(name)->write(chunk * kChunk,
                        stamped(chunk * 8, count * 8, generation));
  }

  std::vector<std::byte> content(const std::string& name) {
    std::vector<std::byte> data(target(name)->size());
    target(name)->read(0, data);
    return data;
  }

  // The text of the error, or "" if there is none.
  template <typename Action>
  static std::string refusal(const Action& action) {
    try {
      action();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }

  // Twenty chunks through the snapshot and thirty through the origin.
  void fill() {
    write("A", 5, 20, 2);
    write("orig", 200, 30, 3);
  }

  MemoryOpener opener_;
  EventRecorder events_;
  std::shared_ptr<CountingDevice> cow_;
  DeviceSet set_{opener_, events_};
};

using testing::Test;

TEST_F(HandoverTest, a_waiting_table_neither_shows_nor_touches_anything) {
  fill();
  cow_->reset_counts();

  set_.load({table("B")});

  EXPECT_EQ(state("B"), "waiting for A\n");
  EXPECT_EQ(target("B"), nullptr);
  EXPECT_FALSE(set_.find("B")->try_open());
  EXPECT_EQ(state("A"), "live\n");
  EXPECT_EQ(cow_->counts().reads + cow_->counts().writes, 0u);
}

TEST_F(HandoverTest, suspending_the_source_hands_its_store_over) {
  fill();
  std::vector<std::byte> before = content("A");
  std::string usage = status("A");
  set_.load({table("B")});

  set_.suspend("A");

  EXPECT_EQ(state("B"), "live\n");
  EXPECT_EQ(status("B"), usage);
  EXPECT_EQ(status("B"), "0 32768 snapshot 416/8192 16");
  EXPECT_TRUE(content("B") == before);
  EXPECT_EQ(state("A"), "handed over to B\n");
  EXPECT_EQ(status("A"), "0 32768 snapshot Invalid");
  EXPECT_EQ(target("A")->table_line(), "0 32768 snapshot origin cow P 0");
  EXPECT_NE(refusal([&] { content("A"); }), "");
  EXPECT_NE(refusal([&] { write("A", 0, 1, 9); }), "");
  EXPECT_EQ(refusal([&] { target("A")->flush(); }), "");
}

TEST_F(HandoverTest, the_swap_reads_and_writes_nothing) {
  fill();
  set_.load({table("B", Activate::manual)});
  set_.suspend("A");
  cow_->reset_counts();

  set_.resume("B");

  CountingDevice::Counts counts = cow_->counts();
  EXPECT_EQ(counts.reads + counts.writes + counts.barriers() + counts.zeroes,
            0u);
  EXPECT_EQ(state("B"), "live\n");
}

TEST_F(HandoverTest, origin_writes_go_on_to_be_saved_after_it) {
  fill();
  std::vector<std::byte> before = content("A");
  set_.load({table("B")});
  set_.suspend("A");

  write("orig", 300, 3, 4);

  EXPECT_EQ(status("B"), "0 32768 snapshot 440/8192 16");
  EXPECT_TRUE(content("B") == before);
}

TEST_F(HandoverTest, a_third_table_on_the_cow_is_refused) {
  set_.load({table("B")});

  EXPECT_EQ(refusal([&] { set_.load({table("C")}); }),
            "C.yaml:3:6: Snapshot cow pairing for exception table handover "
            "failed: B waits for the store of A already; clear it first");
  EXPECT_EQ(set_.find("C"), nullptr);
}

TEST_F(HandoverTest, a_manual_destination_needs_a_suspended_source) {
  set_.load({table("B", Activate::manual)});

  std::string text = refusal([&] { set_.resume("B"); });

  EXPECT_TRUE(
      text.starts_with("Unable to perform snapshot handover until "
                       "source is suspended: A is not"))
      << text;
  EXPECT_EQ(state("A"), "live\n");
  EXPECT_EQ(state("B"), "waiting for A\n");
  set_.suspend("A");
  set_.resume("B");
  EXPECT_EQ(state("B"), "live\n");
}

TEST_F(HandoverTest, a_source_cannot_be_resumed_while_a_table_waits) {
  set_.load({table("B", Activate::manual)});
  set_.suspend("A");

  std::string text = refusal([&] { set_.resume("A"); });

  EXPECT_TRUE(
      text.starts_with("Unable to resume snapshot source until "
                       "handover completes: B waits for the store "
                       "of A"))
      << text;
  EXPECT_EQ(state("A"), "suspended\n");
}

TEST_F(HandoverTest, a_source_cannot_be_removed_while_a_table_waits) {
  fill();
  set_.load({table("B")});

  EXPECT_NE(refusal([&] { set_.remove("A"); }), "");

  EXPECT_EQ(status("A"), "0 32768 snapshot 416/8192 16");
  set_.suspend("A");
  set_.remove("A");
  EXPECT_EQ(status("B"), "0 32768 snapshot 416/8192 16");
}

TEST_F(HandoverTest, clearing_the_destination_leaves_the_source_unharmed) {
  fill();
  set_.load({table("B", Activate::manual)});
  set_.suspend("A");

  set_.clear("B");

  EXPECT_EQ(set_.find("B"), nullptr);
  set_.resume("A");
  EXPECT_EQ(status("A"), "0 32768 snapshot 416/8192 16");
  write("A", 0, 1, 5);
}

TEST_F(HandoverTest, a_table_loaded_for_a_frozen_source_goes_live_at_once) {
  fill();
  set_.suspend("A");

  set_.load({table("B")});

  EXPECT_EQ(state("B"), "live\n");
}

TEST_F(HandoverTest, activate_now_suspends_the_source_itself) {
  fill();

  set_.load({table("B", Activate::now)});

  EXPECT_EQ(state("B"), "live\n");
  EXPECT_EQ(state("A"), "handed over to B\n");
}

TEST_F(HandoverTest, the_old_one_must_go_before_the_next_handover) {
  set_.load({table("B", Activate::now)});

  EXPECT_EQ(refusal([&] { set_.load({table("C")}); }),
            "C.yaml:3:6: Snapshot cow pairing for exception table handover "
            "failed: A, which has handed the store over to B, still has to be "
            "removed");
  set_.remove("A");
  set_.load({table("C", Activate::now)});
  EXPECT_EQ(state("C"), "live\n");
}

TEST_F(HandoverTest, what_was_handed_over_can_be_removed_while_it_is_open) {
  set_.find("A")->try_open();
  set_.load({table("B", Activate::now)});

  EXPECT_EQ(refusal([&] { set_.remove("A"); }), "");
}

TEST_F(HandoverTest, under_its_own_name_a_device_goes_on_with_a_new_table) {
  fill();
  std::vector<std::byte> before = content("A");
  std::shared_ptr<Device> device = set_.find("A");
  Table half =
      table("A", Activate::on_freeze, StoreType::persistent_overflow, 0);
  snapshot_of(half).length_sectors = kSectors / 2;
  set_.load({half});
  EXPECT_EQ(state("A"), "live\nnext: waiting for A\n");
  EXPECT_EQ(status("A"), "0 32768 snapshot 416/8192 16");

  set_.suspend("A");

  EXPECT_EQ(set_.find("A"), device);
  EXPECT_EQ(state("A"), "live\n");
  EXPECT_EQ(status("A"), "0 16384 snapshot 416/8192 16");
  EXPECT_EQ(target("A")->table_line(), "0 16384 snapshot origin cow PO 8");
  before.resize(kSectors / 2 * 512);
  EXPECT_TRUE(content("A") == before);
}

TEST_F(HandoverTest, a_second_load_of_a_name_replaces_the_waiting_table) {
  set_.load({table("A", Activate::manual)});

  set_.load({table("A", Activate::manual, StoreType::persistent_overflow)});
  set_.resume("A");

  EXPECT_EQ(target("A")->table_line(), "0 32768 snapshot origin cow PO 8");
}

TEST_F(HandoverTest, another_chunk_size_or_store_type_is_refused) {
  EXPECT_EQ(
      refusal([&] {
        set_.load({table("B", Activate::on_freeze, StoreType::persistent, 64)});
      }),
      "B.yaml:4:13: COW device cow has chunks of 8 sectors; leave the "
      "chunk size out to keep them");
  EXPECT_EQ(
      refusal([&] {
        set_.load({table("B", Activate::on_freeze, StoreType::transient, 8)});
      }),
      "B.yaml:1:1: COW device cow holds a store of type P, which cannot "
      "change to N");
}

TEST_F(HandoverTest, an_invalid_snapshot_is_handed_over_as_it_is) {
  for (uint64_t chunk = 0; chunk < 1100; ++chunk) write("orig", chunk, 1, 7);
  ASSERT_EQ(status("A"), "0 32768 snapshot Invalid");

  set_.load({table("B", Activate::now)});

  EXPECT_EQ(status("B"), "0 32768 snapshot Invalid");
}

TEST_F(HandoverTest, overflow_moves_along) {
  set_.load({table("A", Activate::now, StoreType::persistent_overflow)});
  for (uint64_t chunk = 0; chunk < 1100; ++chunk) {
    try {
      write("A", chunk, 1, 7);
    } catch (const std::system_error&) {
    }
  }
  ASSERT_EQ(status("A"), "0 32768 snapshot Overflow");

  set_.load({table("B", Activate::now, StoreType::persistent)});

  EXPECT_EQ(status("B"), "0 32768 snapshot Overflow");
}

TEST_F(HandoverTest, tables_loaded_together_are_handed_over_together) {
  opener_.add("cow2", kSectors * 128);
  set_.load({snapshot_table("A2", "orig", "cow2", StoreType::persistent, 16)});
  Table second = snapshot_table("B2", "orig", "cow2", StoreType::persistent, 0);
  set_.load({table("B"), second});

  set_.suspend("A");
  EXPECT_EQ(state("B"), "waiting for A\n");
  EXPECT_EQ(state("A"), "suspended\n");
  set_.suspend("A2");

  EXPECT_EQ(state("B"), "live\n");
  EXPECT_EQ(state("B2"), "live\n");
}

TEST_F(HandoverTest, clearing_one_of_a_group_clears_all) {
  opener_.add("cow2", kSectors * 128);
  set_.load({snapshot_table("A2", "orig", "cow2", StoreType::persistent, 16)});
  set_.load({table("B"),
             snapshot_table("B2", "orig", "cow2", StoreType::persistent, 0)});

  set_.clear("B2");

  EXPECT_EQ(set_.find("B"), nullptr);
  EXPECT_EQ(set_.find("B2"), nullptr);
  set_.suspend("A");
  EXPECT_EQ(state("A"), "suspended\n");
}

TEST_F(HandoverTest, requests_that_parked_are_woken_by_the_handover) {
  struct Waiter : Parked {
    void wake() override { woken = true; }
    bool woken = false;
  } waiter;
  set_.load({table("B", Activate::manual)});
  set_.suspend("A");
  ASSERT_FALSE(set_.find("A")->admission().enter(waiter).has_value());

  set_.resume("B");

  EXPECT_TRUE(waiter.woken);
}

TEST_F(HandoverTest, a_manual_table_without_a_source_goes_live_when_resumed) {
  opener_.add("cow2", kSectors * 128);
  Table manual = snapshot_table("M", "orig", "cow2", StoreType::persistent, 8);
  manual.activate = Activate::manual;
  set_.load({manual});
  EXPECT_EQ(state("M"), "loaded\n");

  set_.resume("M");

  EXPECT_EQ(state("M"), "live\n");
  EXPECT_EQ(status("M"), "0 32768 snapshot 16/8192 16");
}

TEST_F(HandoverTest, an_origin_goes_on_under_a_new_table) {
  Table shorter = origin_table("orig", "origin");
  std::get<OriginTable>(shorter.target).length_sectors = 1000;
  Table snapshot = table("A", Activate::now);
  snapshot_of(snapshot).length_sectors = 1000;
  fill();
  set_.load({snapshot});

  set_.load({shorter});

  EXPECT_EQ(target("orig")->size(), 1000u * 512);
  write("orig", 0, 1, 8);
  EXPECT_EQ(status("A"), "0 1000 snapshot 424/8192 16");
}

TEST_F(HandoverTest, the_handed_over_store_loads_again) {
  fill();
  set_.load({table("B", Activate::now)});
  write("B", 1000, 1, 6);
  std::vector<std::byte> before = content("B");
  std::string usage = status("B");
  set_.remove("A");
  set_.remove("B");

  set_.load({table("E")});

  EXPECT_EQ(status("E"), usage);
  EXPECT_TRUE(content("E") == before);
}

TEST_F(HandoverTest, resuming_a_live_source_does_nothing) {
  set_.load({table("B")});

  EXPECT_EQ(refusal([&] { set_.resume("A"); }), "");

  EXPECT_EQ(state("A"), "live\n");
  EXPECT_EQ(state("B"), "waiting for A\n");
}

// A group of B, which waits for A, and B2, which waits for A2.
class HandoverGroupTest : public HandoverTest {
 protected:
  HandoverGroupTest() {
    opener_.add("cow2", kSectors * 128);
    set_.load({second("A2", Activate::on_freeze)});
  }

  static Table second(const std::string& name, Activate activate) {
    Table made = snapshot_table(name, "orig", "cow2", StoreType::persistent, 8);
    made.activate = activate;
    return made;
  }

  void load_group(Activate activate = Activate::on_freeze) {
    set_.load({table("B", activate), second("B2", activate)});
  }
};

TEST_F(HandoverGroupTest, a_table_that_goes_live_leaves_its_group) {
  load_group();
  opener_.add("cow3", kSectors * 128);

  // Another COW, for which nothing waits.
  set_.load({snapshot_table("B2", "orig", "cow3", StoreType::persistent, 8)});
  set_.suspend("A");

  EXPECT_EQ(state("B2"), "live\n");
  EXPECT_EQ(state("B"), "live\n");
  EXPECT_EQ(state("A2"), "live\n");
}

TEST_F(HandoverGroupTest, a_table_that_needs_no_source_leaves_its_group) {
  load_group();
  opener_.add("cow3", kSectors * 128);
  Table manual = snapshot_table("B2", "orig", "cow3", StoreType::persistent, 8);
  manual.activate = Activate::manual;

  set_.load({manual});
  set_.suspend("A");

  EXPECT_EQ(state("B2"), "loaded\n");
  EXPECT_EQ(state("B"), "live\n");
}

TEST_F(HandoverGroupTest, a_table_made_manual_leaves_its_group) {
  load_group();

  set_.load({second("B2", Activate::manual)});
  set_.suspend("A2");
  EXPECT_EQ(state("B2"), "waiting for A2\n");
  set_.suspend("A");

  EXPECT_EQ(state("B"), "live\n");
  EXPECT_EQ(state("B2"), "waiting for A2\n");
}

TEST_F(HandoverGroupTest, a_corrected_table_takes_its_place_in_the_group) {
  load_group();

  set_.load({second("B2", Activate::on_freeze)});
  set_.suspend("A2");
  EXPECT_EQ(state("B2"), "waiting for A2\n");
  set_.suspend("A");

  EXPECT_EQ(state("B"), "live\n");
  EXPECT_EQ(state("B2"), "live\n");
}

TEST_F(HandoverGroupTest, a_load_that_fails_lets_the_sources_go_on) {
  auto other = std::make_shared<FaultyDevice>(
      std::make_shared<MemoryDevice>(kSectors * 512, "other"));
  opener_.add("other", other);
  opener_.add("cow3", kSectors * 128);
  set_.load({origin_table("orig2", "other"), table("B", Activate::manual)});
  // To take a snapshot its origin is flushed.
  Table fresh = snapshot_table("N", "orig2", "cow3", StoreType::persistent, 8);
  other->inject({.ops = kFlush});

  EXPECT_NE(refusal([&] {
              set_.load({table("B", Activate::now), fresh});
            }),
            "");

  EXPECT_EQ(state("A"), "live\n");
  EXPECT_EQ(state("B"), "waiting for A\n");
  EXPECT_EQ(set_.find("N"), nullptr);
}

TEST_F(HandoverGroupTest, a_refused_resume_freezes_nothing) {
  set_.load({table("A"), second("B2", Activate::on_freeze)});

  EXPECT_NE(refusal([&] { set_.resume("A"); }), "");

  EXPECT_EQ(state("A"), "live\nnext: waiting for A\n");
}

TEST_F(HandoverTest, requests_parked_on_a_device_that_is_removed_are_woken) {
  struct Waiter : Parked {
    void wake() override { woken = true; }
    bool woken = false;
  } waiter;
  std::shared_ptr<Device> device = set_.find("A");
  set_.suspend("A");
  ASSERT_FALSE(device->admission().enter(waiter).has_value());

  set_.remove("A");

  EXPECT_TRUE(waiter.woken);
  EXPECT_TRUE(device->admission().enter(waiter).has_value());
  EXPECT_EQ(device->live(), nullptr);
}

TEST_F(HandoverTest, a_passdown_of_the_new_table_counts_as_a_writer) {
  opener_.add("cow2", kSectors * 128);
  Table passdown =
      snapshot_table("A", "origin", "cow", StoreType::persistent, 8);
  passdown.activate = Activate::now;
  snapshot_of(passdown).discard_zeroes_cow = true;
  snapshot_of(passdown).discard_passdown_origin = true;
  set_.remove("orig");
  set_.load({passdown});
  Table reader =
      snapshot_table("R", "origin", "cow2", StoreType::persistent, 8);
  snapshot_of(reader).read_only = true;
  set_.load({reader});
  std::vector<std::byte> before = content("R");

  target("A")->discard({0, kChunk});

  EXPECT_TRUE(content("R") == before);
}

TEST_F(HandoverTest, the_cow_of_a_loaded_table_is_not_taken_by_another) {
  opener_.add("cow2", kSectors * 128);
  Table manual = snapshot_table("M", "orig", "cow2", StoreType::persistent, 8);
  manual.activate = Activate::manual;
  set_.load({manual});

  EXPECT_EQ(refusal([&] {
              set_.load({snapshot_table("X", "orig", "cow2",
                                        StoreType::persistent, 8)});
            }),
            "X.yaml:3:6: COW device cow2 is in use by M, which is loaded");
}

}  // namespace
}  // namespace snapfs::test

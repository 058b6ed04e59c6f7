// SPDX-License-Identifier: MIT
//
// Tables of merges: how one begins, what is refused in which words, what its
// device is called, and what waits for its end.
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/error.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/parked_thread.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kSectors = 1024;
constexpr unsigned kOld = 1;
constexpr unsigned kOwn = 2;

class MergeLoadTest : public testing::Test {
 protected:
  MergeLoadTest() {
    stamp_device(*opener_.add("origin", kSectors * kSectorBytes),
                 {0, kSectors * kSectorBytes}, kOld);
    for (const char* cow : {"s-cow", "t-cow", "u-cow"}) {
      opener_.add(cow, 2 * kSectors * kSectorBytes);
    }
  }

  static Table snapshot(const std::string& name,
                        StoreType type = StoreType::persistent) {
    return snapshot_table(name, "base", name + "-cow", type, 8);
  }
  static Table merge_of(const std::string& name) {
    return merge_table("base", "origin", name + "-cow");
  }

  void open(std::vector<Table> tables) {
    set_.reset();
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    set_->load(std::move(tables));
  }

  // `s` differs from its origin and is being merged.
  void merge_s() {
    open({origin_table("base", "origin"), snapshot("s")});
    write("s");
    set_->load({merge_of("s")});
    set_->suspend("s");
  }

  void write(const std::string& name, uint64_t first = 8) {
    target(name)->write(first * kSectorBytes, stamped(first, 8, kOwn));
  }

  void merge_all() {
    while (set_->merge_step("base") != 0) {
    }
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_->find(name)->live();
  }
  std::string state(const std::string& name) {
    return set_->find(name)->state_text();
  }
  bool is_merging() {
    return target("base")->status_line().find("snapshot-merge") !=
           std::string::npos;
  }
  std::string differs(const std::string& name, uint64_t first,
                      unsigned generation) {
    std::vector<std::byte> data(8 * kSectorBytes);
    target(name)->read(first * kSectorBytes, data);
    return stamp_difference(data, first, generation);
  }

  // The errno of what loading these ends with, and its text in refusal_.
  int refused(std::vector<Table> tables) {
    try {
      set_->load(std::move(tables));
    } catch (const TableError& error) {
      refusal_ = error.what();
      return error.error();
    }
    refusal_ = "";
    return 0;
  }
  int refused(const Table& table) { return refused(std::vector<Table>{table}); }
  bool says(const std::string& words) {
    EXPECT_NE(refusal_.find(words), std::string::npos) << refusal_;
    return true;
  }

  MemoryOpener opener_;
  EventRecorder events_;
  std::unique_ptr<DeviceSet> set_;
  std::string refusal_;
};

// --- How it begins -----------------------------------------------------------

TEST_F(MergeLoadTest, it_waits_for_its_source_like_any_handover) {
  open({origin_table("base", "origin"), snapshot("s")});

  set_->load({merge_of("s")});

  EXPECT_EQ(state("base"), "live\nnext: waiting for s\n");
  EXPECT_FALSE(is_merging());
  set_->suspend("s");
  EXPECT_TRUE(is_merging());
  EXPECT_EQ(state("base"), "live\n");
  EXPECT_EQ(state("s"), "handed over to base\n");
}

TEST_F(MergeLoadTest, a_merge_that_waits_can_be_cleared) {
  open({origin_table("base", "origin"), snapshot("s")});
  set_->load({merge_of("s")});

  set_->clear("base");
  set_->suspend("s");
  set_->resume("s");

  EXPECT_EQ(state("base"), "live\n");
  EXPECT_FALSE(is_merging());
}

TEST_F(MergeLoadTest, activate_now_does_it_in_one_step) {
  open({origin_table("base", "origin"), snapshot("s")});
  Table table = merge_of("s");
  table.activate = Activate::now;

  set_->load({table});

  EXPECT_TRUE(is_merging());
}

TEST_F(MergeLoadTest, manual_takes_resume_of_the_merge) {
  open({origin_table("base", "origin"), snapshot("s")});
  Table table = merge_of("s");
  table.activate = Activate::manual;
  set_->load({table});
  EXPECT_THROW(set_->resume("base"), std::system_error);
  set_->suspend("s");
  EXPECT_FALSE(is_merging());

  set_->resume("base");

  EXPECT_TRUE(is_merging());
  EXPECT_EQ(state("base"), "live\n");
}

TEST_F(MergeLoadTest, it_goes_on_after_a_mount_from_what_is_on_the_cow) {
  merge_s();

  open({merge_of("s")});

  EXPECT_TRUE(is_merging());
  EXPECT_EQ(differs("base", 8, kOwn), "");
  merge_all();
  EXPECT_EQ(differs("base", 8, kOwn), "");
  auto& origin =
      std::get<OriginTable>(set_->find("base")->live_table()->target);
  EXPECT_EQ(origin.device, "origin");
  EXPECT_EQ(origin.length_sectors, kSectors);
}

TEST_F(MergeLoadTest, a_mount_brings_other_snapshots_of_it_with_it) {
  open({origin_table("base", "origin"), snapshot("s")});
  write("s");
  set_->load({snapshot("t")});
  set_->load({merge_of("s")});
  set_->suspend("s");

  open({snapshot("t"), merge_of("s")});
  merge_all();

  EXPECT_EQ(differs("t", 8, kOld), "");
  EXPECT_EQ(differs("base", 8, kOwn), "");
}

TEST_F(MergeLoadTest, a_store_that_was_not_live_merges_into_a_live_origin) {
  open({origin_table("base", "origin"), snapshot("s")});
  write("s");
  set_->remove("s");

  set_->load({merge_of("s")});

  EXPECT_TRUE(is_merging());
  EXPECT_EQ(state("base"), "live\n");
  EXPECT_EQ(differs("base", 8, kOwn), "");
  EXPECT_FALSE(set_->find("base")->admission().is_closed());
  merge_all();
  EXPECT_EQ(target("base")->status_line(), "0 1024 snapshot-origin ");
}

TEST_F(MergeLoadTest, a_stale_store_is_not_merged) {
  open({origin_table("base", "origin"), snapshot("s")});
  write("s");
  set_->remove("s");
  write("base", 80);

  EXPECT_EQ(refused(merge_of("s")), ESTALE);
  EXPECT_FALSE(is_merging());
}

TEST_F(MergeLoadTest, the_origins_own_table_comes_back_in_the_end) {
  Table origin = origin_table("base", "origin");
  origin.text = "device: origin  # ours\n";
  origin.attributes.mode = 0640;
  open({origin, snapshot("s")});
  write("s");
  set_->load({merge_of("s")});
  set_->suspend("s");
  EXPECT_FALSE(set_->find("base")->live_table()->attributes.mode);

  merge_all();

  EXPECT_EQ(set_->find("base")->live_table()->text, origin.text);
  EXPECT_EQ(set_->find("base")->live_table()->attributes.mode, 0640u);
}

TEST_F(MergeLoadTest, a_suspended_origin_goes_on_when_the_merge_is_live) {
  open({origin_table("base", "origin"), snapshot("s")});
  write("s");
  set_->suspend("base");
  set_->load({merge_of("s")});
  set_->suspend("s");

  EXPECT_EQ(state("base"), "live\n");
  EXPECT_TRUE(is_merging());
  EXPECT_NE(target("base")->details().find("merge: running"),
            std::string::npos);
}

TEST_F(MergeLoadTest, what_parked_on_the_origin_meets_the_merge) {
  open({origin_table("base", "origin"), snapshot("s")});
  write("s");
  set_->suspend("base");
  auto device = set_->find("base");
  ParkedThread request;
  ASSERT_FALSE(device->admission().enter(request));
  set_->load({merge_of("s")});
  set_->suspend("s");

  request.wait();
  Admission::Pass pass = enter(*device);
  EXPECT_EQ(differs("base", 8, kOwn), "");
}

// What is written back when the origin is suspended for the merge is its own.
class Watcher : public DeviceWatcher {
 public:
  void before_freeze(Device& device) override {
    calls.push_back("before_freeze " + device.name() + " " + state_of(device));
  }
  void after_freeze(Device& device) override {
    calls.push_back("after_freeze " + device.name());
  }
  void after_change(Device& device) override {
    calls.push_back("after_change " + device.name() + " " + state_of(device));
  }
  std::string users_of(Device&) override { return "/dev/loop7"; }

  static std::string state_of(Device& device) {
    std::string text = device.state_text();
    return text.substr(0, text.find('\n'));
  }

  std::vector<std::string> calls;
};

TEST_F(MergeLoadTest, caches_of_both_devices_are_dealt_with) {
  Watcher watcher;
  open({origin_table("base", "origin"), snapshot("s")});
  set_->set_watcher(&watcher);
  Table table = merge_of("s");
  table.activate = Activate::now;

  set_->load({table});

  EXPECT_EQ(watcher.calls, (std::vector<std::string>{
                               "before_freeze s live", "after_freeze s",
                               "before_freeze base live", "after_freeze base",
                               "after_change s handed over to base",
                               "after_change base live"}));
  set_->set_watcher(nullptr);
}

TEST_F(MergeLoadTest, users_of_the_origin_are_named) {
  Watcher watcher;
  open({origin_table("base", "origin"), snapshot("s")});
  set_->set_watcher(&watcher);
  ASSERT_TRUE(set_->find("base")->try_open());
  Table table = merge_of("s");
  table.activate = Activate::now;

  EXPECT_EQ(refused(table), EBUSY);
  says("under its users (/dev/loop7)");
  set_->set_watcher(nullptr);
}

TEST_F(MergeLoadTest, the_cow_is_free_when_it_has_finished) {
  merge_s();
  merge_all();
  set_->remove("s");

  set_->load({snapshot("s")});

  EXPECT_EQ(target("s")->status_line(), "0 1024 snapshot 16/2048 16");
}

// --- What is refused ---------------------------------------------------------

TEST_F(MergeLoadTest, a_second_merge_into_one_origin) {
  open({origin_table("base", "origin"), snapshot("s"), snapshot("t")});
  set_->load({merge_of("s")});
  set_->suspend("s");

  EXPECT_EQ(refused(merge_of("t")), EBUSY);
  says("A snapshot is already merging: base, from COW device s-cow");
  Table other = merge_table("other", "origin", "t-cow");
  EXPECT_EQ(refused(other), EBUSY);
  says("A snapshot is already merging");
}

TEST_F(MergeLoadTest, two_merges_into_one_origin_at_once) {
  open({origin_table("base", "origin"), snapshot("s"), snapshot("t")});
  open({});

  EXPECT_EQ(refused({merge_of("s"), merge_table("b", "origin", "t-cow")}),
            EBUSY);
  says("A snapshot is already merging");
}

TEST_F(MergeLoadTest, a_transient_store) {
  open({origin_table("base", "origin"), snapshot("s", StoreType::transient)});
  Table table = merge_of("s");
  snapshot_of(table).store = StoreType::transient;
  snapshot_of(table).chunk_sectors = 8;

  EXPECT_EQ(refused(table), EINVAL);
  says("Snapshot exception store does not support snapshot-merge");
  EXPECT_EQ(refused(merge_of("s")), EINVAL);
  says("Snapshot exception store does not support snapshot-merge");
}

TEST_F(MergeLoadTest, an_invalid_snapshot) {
  opener_.add("s-cow", 3 * 8 * kSectorBytes);
  open({origin_table("base", "origin"), snapshot("s")});
  write("base", 80);
  write("base", 160);
  ASSERT_EQ(target("s")->status_line(), "0 1024 snapshot Invalid");

  EXPECT_EQ(refused(merge_of("s")), EIO);
  says("Snapshot is invalid: can't merge");
  open({});
  EXPECT_EQ(refused(merge_of("s")), EIO);
  says("Snapshot is invalid: can't merge");
}

TEST_F(MergeLoadTest, an_origin_that_is_read_only) {
  Table origin = origin_table("base", "origin");
  std::get<OriginTable>(origin.target).read_only = true;
  open({origin, snapshot("s")});

  EXPECT_EQ(refused(merge_of("s")), EROFS);
  says("the origin base is read-only");
  Table table = merge_of("s");
  snapshot_of(table).read_only = true;
  EXPECT_EQ(refused(table), EROFS);
}

TEST_F(MergeLoadTest, a_name_that_is_not_the_origins) {
  open({origin_table("base", "origin"), snapshot("s")});

  EXPECT_EQ(refused(merge_table("other", "origin", "s-cow")), EBUSY);
  says("the origin is live as base, and a merge takes its origin's name");
  EXPECT_EQ(refused(merge_table("s", "origin", "s-cow")), EBUSY);
  says("s is live as a snapshot, and a merge has the name of its origin");
}

TEST_F(MergeLoadTest, a_cow_without_a_store) {
  open({});
  EXPECT_EQ(refused(merge_of("s")), EINVAL);
  says("holds no store");
}

TEST_F(MergeLoadTest, an_origin_whose_file_is_in_use) {
  open({origin_table("base", "origin"), snapshot("s")});
  set_->load({merge_of("s")});
  ASSERT_TRUE(set_->find("base")->try_open());

  try {
    set_->suspend("s");
    ADD_FAILURE() << "it was not refused";
  } catch (const std::system_error& error) {
    EXPECT_EQ(errno_of(error), EBUSY);
    EXPECT_NE(std::string(error.what()).find("`force: true`"),
              std::string::npos);
  }
  EXPECT_EQ(state("s"), "live\n");
  EXPECT_EQ(state("base"), "live\nnext: waiting for s\n");

  set_->find("base")->closed();
  set_->suspend("s");
  EXPECT_TRUE(is_merging());
}

TEST_F(MergeLoadTest, force_merges_below_whoever_uses_the_file) {
  open({origin_table("base", "origin"), snapshot("s")});
  Table table = merge_of("s");
  table.activate = Activate::now;
  ASSERT_TRUE(set_->find("base")->try_open());
  EXPECT_EQ(refused(table), EBUSY);
  says("the merge would change the content of base under its users");
  EXPECT_EQ(state("s"), "live\n");

  snapshot_of(table).merge->force = true;
  set_->load({table});

  EXPECT_TRUE(is_merging());
}

TEST_F(MergeLoadTest, another_table_for_the_store_that_merges) {
  merge_s();

  Table table = snapshot("u");
  snapshot_of(table).cow.path = "s-cow";
  EXPECT_EQ(refused(table), EBUSY);
  says("is being merged into base");
  EXPECT_EQ(refused(origin_table("base", "origin")), EBUSY);
  says("becomes a snapshot-origin by itself");
}

// --- Snapshots meanwhile -----------------------------------------------------

TEST_F(MergeLoadTest, a_new_snapshot_is_refused_during_a_merge) {
  merge_s();

  EXPECT_EQ(refused(snapshot("t")), EBUSY);
  says("a snapshot cannot be taken during a merge");
  says("`wait: merge`");
  EXPECT_EQ(refused(snapshot("t", StoreType::transient)), EBUSY);
  merge_all();
  EXPECT_EQ(refused(snapshot("t")), 0);
}

TEST_F(MergeLoadTest, a_new_snapshot_is_refused_in_the_same_load) {
  merge_s();
  set_.reset();
  set_ = std::make_unique<DeviceSet>(opener_, events_);

  EXPECT_EQ(refused({merge_of("s"), snapshot("t")}), EBUSY);
  says("a snapshot cannot be taken during a merge");
}

TEST_F(MergeLoadTest, a_store_that_was_there_all_the_time_comes_back) {
  open({origin_table("base", "origin"), snapshot("s"), snapshot("t"),
        snapshot("u")});
  write("s");
  set_->remove("u");
  set_->load({merge_of("s")});
  set_->suspend("s");
  set_->remove("t");

  EXPECT_EQ(refused(snapshot("t")), 0);
  set_->merge_step("base");
  EXPECT_EQ(refused(snapshot("u")), ESTALE);
}

TEST_F(MergeLoadTest, with_wait_a_snapshot_is_taken_when_the_merge_ends) {
  merge_s();
  Table table = snapshot("t");
  snapshot_of(table).wait_for_merge = true;

  set_->load({table});

  EXPECT_EQ(state("t"), "waiting for the merge of base\n");
  EXPECT_THROW(set_->resume("t"), std::system_error);
  merge_all();
  EXPECT_EQ(state("t"), "live\n");
  EXPECT_EQ(differs("t", 8, kOwn), "");
  write("base", 160);
  EXPECT_EQ(differs("t", 160, kOld), "");
}

TEST_F(MergeLoadTest, without_a_merge_nobody_waits) {
  open({origin_table("base", "origin")});
  Table table = snapshot("t");
  snapshot_of(table).wait_for_merge = true;

  set_->load({table});

  EXPECT_EQ(state("t"), "live\n");
}

TEST_F(MergeLoadTest, what_waits_for_a_merge_may_take_its_cow) {
  merge_s();
  set_->remove("s");
  Table table = snapshot("s");
  snapshot_of(table).wait_for_merge = true;

  set_->load({table});
  merge_all();

  EXPECT_EQ(state("s"), "live\n");
  EXPECT_EQ(target("s")->status_line(), "0 1024 snapshot 16/2048 16");
}

TEST_F(MergeLoadTest, what_waits_for_a_merge_can_be_cleared) {
  merge_s();
  Table table = snapshot("t");
  snapshot_of(table).wait_for_merge = true;
  set_->load({table});

  set_->clear("t");

  EXPECT_EQ(set_->find("t"), nullptr);
  merge_all();
  EXPECT_EQ(set_->find("t"), nullptr);
}

TEST_F(MergeLoadTest, a_merge_that_is_removed_leaves_what_waited_for_it) {
  merge_s();
  Table table =
      snapshot_table("t", "origin", "t-cow", StoreType::persistent, 8);
  snapshot_of(table).wait_for_merge = true;
  set_->load({table});

  set_->remove("base");

  EXPECT_EQ(state("t"), "loaded\n");
  set_->resume("t");
  EXPECT_EQ(state("t"), "live\n");
}

// --- Second names ------------------------------------------------------------

TEST_F(MergeLoadTest, the_snapshots_file_goes_on_as_a_second_name) {
  open({origin_table("base", "origin"), snapshot("s")});
  write("s");
  auto device = set_->find("s");
  ASSERT_TRUE(device->try_open());
  Table table = merge_of("s");
  snapshot_of(table).merge->also_as = {"s"};
  set_->load({table});

  set_->suspend("s");

  EXPECT_EQ(state("s"), "live\nsecond name of base\n");
  EXPECT_EQ(device->second_name_of(), "base");
  EXPECT_EQ(target("s"), target("base"));
  EXPECT_EQ(differs("s", 8, kOwn), "");
  write("s", 80);
  EXPECT_EQ(differs("base", 80, kOwn), "");
  merge_all();
  EXPECT_EQ(set_->find("s"), device);
  EXPECT_EQ(target("s")->status_line(), "0 1024 snapshot-origin ");
  write("base", 160);
  EXPECT_EQ(differs("s", 160, kOwn), "");
}

TEST_F(MergeLoadTest, a_second_name_is_suspended_and_removed_by_itself) {
  open({origin_table("base", "origin"), snapshot("s")});
  Table table = merge_of("s");
  snapshot_of(table).merge->also_as = {"s"};
  set_->load({table});
  set_->suspend("s");

  set_->suspend("s");
  EXPECT_EQ(state("s"), "suspended\nsecond name of base\n");
  EXPECT_EQ(state("base"), "live\n");
  set_->resume("s");
  EXPECT_THROW(set_->remove("base"), std::system_error);
  EXPECT_EQ(refused(snapshot("s")), EBUSY);
  says("s is a second name of base; remove it first");
  set_->remove("s");
  EXPECT_TRUE(is_merging());
  set_->remove("base");
}

TEST_F(MergeLoadTest, second_names_are_there_after_a_mount) {
  merge_s();
  Table table = merge_of("s");
  snapshot_of(table).merge->also_as = {"s"};

  open({table});

  EXPECT_EQ(target("s"), target("base"));
  EXPECT_EQ(state("s"), "live\nsecond name of base\n");
  EXPECT_TRUE(set_->find("s")->try_open());
}

// `s` is a second name of what was merged; `t` differs from that.
class SecondNameTest : public MergeLoadTest {
 protected:
  SecondNameTest() {
    open({origin_table("base", "origin"), snapshot("s")});
    Table table = merge_of("s");
    snapshot_of(table).merge->also_as = {"s"};
    table.activate = Activate::now;
    set_->load({table});
    merge_all();
    set_->load({snapshot("t")});
    write("t");
  }

  void merge_t() {
    Table table = merge_of("t");
    table.activate = Activate::now;
    set_->load({table});
  }

  void expect_next_merge_under_both_names() {
    EXPECT_EQ(target("s"), target("base"));
    EXPECT_EQ(state("s"), "live\nsecond name of base\n");
    EXPECT_EQ(differs("s", 8, kOwn), "");
    write("s", 12);
    EXPECT_EQ(differs("base", 12, kOwn), "");
    merge_all();
    EXPECT_EQ(target("s"), target("base"));
    EXPECT_EQ(differs("s", 12, kOwn), "");
    EXPECT_EQ(differs("base", 12, kOwn), "");
  }
};

TEST_F(SecondNameTest, it_shows_the_next_merge_too) {
  merge_t();
  expect_next_merge_under_both_names();
}

TEST_F(SecondNameTest, it_shows_the_next_merge_of_a_store_that_was_away) {
  set_->remove("t");
  merge_t();
  expect_next_merge_under_both_names();
}

TEST_F(SecondNameTest, it_can_be_named_again) {
  Table table = merge_of("t");
  snapshot_of(table).merge->also_as = {"s"};
  table.activate = Activate::now;
  set_->load({table});
  expect_next_merge_under_both_names();
}

TEST_F(SecondNameTest, one_that_is_suspended_stays_so) {
  set_->suspend("s");
  merge_t();
  EXPECT_EQ(state("s"), "suspended\nsecond name of base\n");
  set_->resume("s");
  expect_next_merge_under_both_names();
}

TEST_F(SecondNameTest, its_users_are_users_of_the_origin) {
  ASSERT_TRUE(set_->find("s")->try_open());
  Table table = merge_of("t");
  table.activate = Activate::now;
  EXPECT_EQ(refused(table), EBUSY);
  says("the merge would change the content of s under its users");
}

TEST_F(SecondNameTest, it_grows_with_the_origin) {
  Table table = origin_table("base", "origin");
  std::get<OriginTable>(table.target).length_sectors = 512;
  Table short_one = snapshot("s");
  snapshot_of(short_one).length_sectors = 512;
  open({table, short_one});
  Table merge = merge_of("s");
  snapshot_of(merge).merge->also_as = {"s"};
  merge.activate = Activate::now;
  set_->load({merge});
  merge_all();
  ASSERT_EQ(target("s")->size(), 512 * kSectorBytes);

  set_->load({origin_table("base", "origin")});

  EXPECT_EQ(target("base")->size(), kSectors * kSectorBytes);
  EXPECT_EQ(target("s"), target("base"));
}

TEST_F(MergeLoadTest, a_second_name_that_is_taken_is_refused) {
  open({origin_table("base", "origin"), snapshot("s"), snapshot("t")});
  Table table = merge_of("s");
  snapshot_of(table).merge->also_as = {"t"};

  EXPECT_EQ(refused(table), EBUSY);
  says("the name t is taken, and not by the snapshot that is merged");
}

// --- A new table for a merge -------------------------------------------------

TEST_F(MergeLoadTest, a_merge_under_way_takes_a_new_rate_and_no_other_name) {
  merge_s();
  Table table = merge_of("s");
  snapshot_of(table).merge->rate = 12345678;
  table.attributes.mode = 0600;

  set_->load({table});

  EXPECT_NE(target("base")->details().find("merge_rate: 12345678\n"),
            std::string::npos);
  EXPECT_EQ(set_->find("base")->live_table()->attributes.mode, 0600u);
  snapshot_of(table).merge->also_as = {"s"};
  EXPECT_EQ(refused(table), EBUSY);
  snapshot_of(table).merge->also_as.clear();
  snapshot_of(table).length_sectors = 8;
  EXPECT_EQ(refused(table), EBUSY);
}

// Whoever reads SPEC again asks so of everything in it.
TEST_F(MergeLoadTest, a_merge_has_not_outgrown_its_table) {
  merge_s();
  dynamic_cast<MemoryDevice&>(
      *opener_.open_origin("origin", false, Place{}).device)
      .set_size(2 * kSectors * kSectorBytes);

  EXPECT_FALSE(set_->has_outgrown_table("base"));
  merge_all();
  EXPECT_TRUE(set_->has_outgrown_table("base"));
}

TEST_F(MergeLoadTest, a_rate_is_refused_for_what_does_not_merge) {
  open({origin_table("base", "origin")});
  EXPECT_THROW(set_->set_merge_rate("base", 1), std::system_error);
  EXPECT_THROW(set_->merge_step("base"), std::system_error);
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// What the keeper of tables is told, and when: before anything has changed, and
// again if it does not come about.
#include "core/keeping.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/device_set.h"
#include "core/error.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

// "a", "a+next(waits for b)", "b<a": one took the store of the other over.
std::string describe(const KeptDevices& devices) {
  std::string text;
  for (const auto& [name, device] : devices) {
    text += (text.empty() ? "" : " ") + name;
    if (device.live == nullptr) text += "(none)";
    if (!device.handed_over_from.empty()) text += "<" + device.handed_over_from;
    if (device.next == nullptr) continue;
    text += "+next";
    if (!device.source.empty()) text += "(" + device.source + ")";
    if (device.group.size() > 1)
      text += "*" + std::to_string(device.group.size());
  }
  return text;
}

class RecordingKeeper : public TableKeeper {
 public:
  void keep_new(const KeptDevices& devices) override { take("new", devices); }
  void keep(const KeptDevices& devices) override { take("all", devices); }

  // The calls since the last time.
  std::vector<std::string> take_calls() { return std::exchange(calls_, {}); }
  std::string last() const { return last_; }
  void fail_with(int error) { error_ = error; }
  void on_call(std::function<void()> action) { action_ = std::move(action); }

 private:
  void take(const std::string& kind, const KeptDevices& devices) {
    std::string text = describe(devices);
    if (text == last_ && kind == "new") return;  // nothing to do
    calls_.push_back(kind + ": " + text);
    if (action_) action_();
    if (error_ != 0)
      throw std::system_error(error_, std::generic_category(), "SPEC");
    last_ = text;
  }

  std::vector<std::string> calls_;
  std::string last_;
  int error_ = 0;
  std::function<void()> action_;
};

using Calls = std::vector<std::string>;

class KeepingTest : public testing::Test {
 protected:
  KeepingTest() {
    opener_.add("/o", 1 << 20);
    opener_.add("/c", 1 << 20);
    opener_.add("/d", 1 << 20);
    set_.load({origin_table("o", "/o"), table("a")});
    set_.set_keeper(&keeper_);
    keeper_.take_calls();
  }

  static Table table(const std::string& name, const std::string& cow = "/c",
                     Activate activate = Activate::on_freeze) {
    Table made = snapshot_table(name, "o", cow, StoreType::persistent, 8);
    made.text = name + cow + std::to_string(static_cast<int>(activate));
    made.activate = activate;
    return made;
  }
  std::string state(const std::string& name) {
    auto device = set_.find(name);
    return device ? device->state_text() : "none";
  }
  template <typename Action>
  static int error_of(const Action& action) {
    try {
      action();
    } catch (const std::exception& error) {
      return errno_of(error);
    }
    return 0;
  }

  MemoryOpener opener_;
  EventRecorder events_;
  RecordingKeeper keeper_;
  DeviceSet set_{opener_, events_};
};

TEST_F(KeepingTest, the_keeper_is_told_what_is_there_when_it_begins) {
  RecordingKeeper keeper;
  set_.set_keeper(&keeper);
  EXPECT_EQ(keeper.take_calls(), Calls{"all: a o"});
}

TEST_F(KeepingTest, a_load_is_kept_before_anything_is_written) {
  keeper_.on_call([&] {
    EXPECT_EQ(set_.find("b"), nullptr);
    keeper_.on_call(nullptr);
  });
  set_.load({table("b", "/d")});
  EXPECT_EQ(keeper_.take_calls(), (Calls{"new: a b o", "all: a b o"}));
  EXPECT_EQ(state("b"), "live\n");
}

TEST_F(KeepingTest, a_load_that_cannot_be_kept_changes_nothing) {
  auto device = std::make_shared<FaultyDevice>(
      std::make_shared<MemoryDevice>(1 << 20, "/e"));
  device->inject({.ops = kAnyWrite, .for_ever = true});
  opener_.add("/e", device);
  keeper_.fail_with(ENOSPC);
  EXPECT_EQ(error_of([&] { set_.load({table("b", "/e")}); }), ENOSPC);
  EXPECT_EQ(set_.find("b"), nullptr);
  EXPECT_EQ(opener_.open_count("/e"), 0u);
}

TEST_F(KeepingTest, a_load_that_fails_later_is_taken_back) {
  auto device = std::make_shared<FaultyDevice>(
      std::make_shared<MemoryDevice>(1 << 20, "/e"));
  device->inject({.ops = kAnyWrite, .for_ever = true});
  opener_.add("/e", device);
  EXPECT_EQ(error_of([&] { set_.load({table("b", "/e")}); }), EIO);
  EXPECT_EQ(keeper_.take_calls(), (Calls{"new: a b o", "all: a o"}));
}

TEST_F(KeepingTest, a_waiting_table_is_kept_as_such) {
  set_.load({table("b")});
  EXPECT_EQ(keeper_.last(), "a b(none)+next(a) o");
  set_.clear("b");
  EXPECT_EQ(keeper_.last(), "a o");
  set_.load({table("a", "/c", Activate::manual)});
  EXPECT_EQ(keeper_.last(), "a+next(a) o");
}

TEST_F(KeepingTest, a_handover_is_kept_before_the_source_stands_still) {
  set_.load({table("b")});
  keeper_.take_calls();
  keeper_.on_call([&] {
    EXPECT_EQ(state("a"), "live\n");
    keeper_.on_call(nullptr);
  });
  set_.suspend("a");
  EXPECT_EQ(keeper_.take_calls(), (Calls{"new: b<a o", "all: b<a o"}));
  EXPECT_EQ(state("a"), "handed over to b\n");
  set_.remove("a");
  EXPECT_EQ(keeper_.last(), "b o");
}

TEST_F(KeepingTest, a_handover_that_cannot_be_kept_leaves_all_as_it_was) {
  set_.load({table("b")});
  keeper_.fail_with(EROFS);
  EXPECT_EQ(error_of([&] { set_.suspend("a"); }), EROFS);
  EXPECT_EQ(state("a"), "live\n");
  EXPECT_EQ(state("b"), "waiting for a\n");
  keeper_.fail_with(0);
  set_.suspend("a");
  EXPECT_EQ(state("b"), "live\n");
}

TEST_F(KeepingTest, a_source_that_cannot_be_frozen_takes_its_handover_back) {
  class Refusing : public DeviceWatcher {
   public:
    void before_freeze(Device&) override {
      throw std::system_error(EIO, std::generic_category(), "caches");
    }
    void after_change(Device&) override {}
  } watcher;
  set_.load({table("b")});
  set_.set_watcher(&watcher);
  EXPECT_EQ(error_of([&] { set_.suspend("a"); }), EIO);
  set_.set_watcher(nullptr);
  EXPECT_EQ(keeper_.last(), "a b(none)+next(a) o");
  EXPECT_EQ(state("a"), "live\n");
}

TEST_F(KeepingTest, each_way_to_a_handover_is_kept) {
  set_.load({table("a", "/c", Activate::now)});
  EXPECT_EQ(keeper_.last(), "a o");
  EXPECT_EQ(keeper_.take_calls().front(), "all: a o");
  set_.load({table("b", "/c", Activate::now)});
  EXPECT_EQ(keeper_.take_calls().front(), "new: b<a o");
  set_.remove("a");

  set_.load({table("c", "/c", Activate::manual)});
  set_.suspend("b");
  EXPECT_EQ(keeper_.last(), "b c(none)+next(b) o");
  set_.resume("c");
  EXPECT_EQ(keeper_.last(), "c<b o");
  set_.remove("b");

  set_.suspend("c");
  set_.load({table("d")});
  EXPECT_EQ(keeper_.last(), "d<c o");
}

TEST_F(KeepingTest, a_load_over_a_store_in_use_refused_for_now_thaws_nothing) {
  keeper_.fail_with(ENOSPC);
  EXPECT_EQ(error_of([&] { set_.load({table("b", "/c", Activate::now)}); }),
            ENOSPC);
  EXPECT_EQ(state("a"), "live\n");
  EXPECT_EQ(state("b"), "none");
}

TEST_F(KeepingTest, a_group_is_kept_as_one_and_handed_over_as_one) {
  set_.load({table("d", "/d")});
  set_.load({table("a2"), table("d2", "/d")});
  EXPECT_EQ(keeper_.last(), "a a2(none)+next(a)*2 d d2(none)+next(d)*2 o");
  set_.suspend("a");
  EXPECT_EQ(keeper_.last(), "a a2(none)+next(a)*2 d d2(none)+next(d)*2 o");
  set_.suspend("d");
  EXPECT_EQ(keeper_.last(), "a2<a d2<d o");
}

TEST_F(KeepingTest, a_removal_that_cannot_be_kept_is_refused) {
  keeper_.fail_with(EROFS);
  EXPECT_EQ(error_of([&] { set_.remove("a"); }), EROFS);
  EXPECT_EQ(state("a"), "live\n");
  EXPECT_TRUE(set_.find("a")->try_open());
  set_.find("a")->closed();
  keeper_.fail_with(0);
  set_.remove("a");
  EXPECT_EQ(keeper_.last(), "o");
}

TEST_F(KeepingTest, a_removal_drops_what_waits_with_it) {
  set_.load({table("a", "/c", Activate::manual)});
  set_.remove("a");
  EXPECT_EQ(keeper_.last(), "o");
}

TEST_F(KeepingTest, a_device_that_is_open_stays_kept) {
  ASSERT_TRUE(set_.find("a")->try_open());
  keeper_.take_calls();
  EXPECT_EQ(error_of([&] { set_.remove("a"); }), EBUSY);
  EXPECT_EQ(keeper_.take_calls(), Calls{});
  set_.find("a")->closed();
}

// Its source could not go on otherwise.
TEST_F(KeepingTest, what_is_cleared_is_gone_even_if_it_stays_kept) {
  set_.load({table("b")});
  keeper_.fail_with(EROFS);
  EXPECT_EQ(error_of([&] { set_.clear("b"); }), EROFS);
  EXPECT_EQ(state("b"), "none");
}

// ---- Tables that only wait, and those that do not

TEST_F(KeepingTest, a_manual_table_that_was_live_is_live_when_it_is_loaded) {
  Table manual = table("b", "/d", Activate::manual);
  set_.load({manual});
  EXPECT_EQ(state("b"), "loaded\n");
  set_.resume("b");
  EXPECT_EQ(state("b"), "live\n");
  EXPECT_EQ(set_.find("b")->live_table()->activate, Activate::manual);
  set_.remove("b");
  manual.was_live = true;
  set_.load({manual});
  EXPECT_EQ(state("b"), "live\n");
}

TEST_F(KeepingTest, a_table_that_only_waits_does_not_go_live_when_loaded) {
  Table only = table("b", "/c", Activate::now);
  only.waits = true;
  set_.load({only});
  EXPECT_EQ(state("b"), "waiting for a\n");
  set_.suspend("a");
  EXPECT_EQ(state("b"), "live\n");
}

TEST_F(KeepingTest, a_table_that_only_waits_for_nobody_is_resumed) {
  Table only = table("b", "/d");
  only.waits = true;
  set_.load({only});
  EXPECT_EQ(state("b"), "loaded\n");
  EXPECT_EQ(keeper_.last(), "a b(none)+next o");
  set_.resume("b");
  EXPECT_EQ(state("b"), "live\n");
  EXPECT_EQ(keeper_.last(), "a b o");
}

}  // namespace
}  // namespace snapfs::test

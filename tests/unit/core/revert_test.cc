// SPDX-License-Identifier: MIT
//
// A revert, step by step: what each view shows, what goes to which device in
// which order, who waits for whom, what is refused, and what happens when
// something fails or the power does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/revert_note.h"
#include "tests/support/eventually.h"
#include "tests/support/pattern.h"
#include "tests/support/recording_device.h"
#include "tests/support/tables.h"
#include "tests/unit/core/origin_and_snapshot.h"

namespace snapfs::test {
namespace {

using testing::HasSubstr;

// One chunk at a time.
constexpr BackgroundCopy::StepLimit kChunk{4096, 1};

class RevertTest : public OriginAndSnapshot {
 protected:
  void revert() {
    set_->revert("s", {});
    recording_->clear();
  }

  void revert_all() {
    while (set_->merge_step("base") != 0) {
    }
  }

  bool is_reverting() {
    return target("base")->details().find("revert: ") != std::string::npos;
  }
};

// --- What is shown -----------------------------------------------------------

TEST_F(RevertTest, both_show_the_snapshot_from_the_first_instant) {
  diverge();

  revert();

  expect_snapshot_content("base");
  expect_snapshot_content("s");
  EXPECT_EQ(origin_differs(16, 16, kNew), "");
  EXPECT_EQ(target("base")->status_line(), "0 2048 snapshot-origin ");
}

TEST_F(RevertTest, every_step_leaves_the_content_as_it_is) {
  diverge();
  revert();

  while (set_->merge_step("base", kChunk) != 0) {
    expect_snapshot_content("base");
    expect_snapshot_content("s");
  }

  EXPECT_EQ(origin_differs(0, 64, kOld), "");
  EXPECT_EQ(origin_differs(64, 8, kOwn), "");
  EXPECT_FALSE(is_reverting());
}

TEST_F(RevertTest, the_snapshot_stays_and_each_goes_on_for_itself) {
  diverge();
  revert();
  revert_all();

  write("base", 64, 8, kLate);
  write("base", 400, 8, kLate);
  write("s", 16, 8, kNew);

  EXPECT_EQ(differs("base", 16, 8, kOld), "");
  EXPECT_EQ(differs("base", 64, 8, kLate), "");
  EXPECT_EQ(differs("s", 16, 8, kNew), "");
  EXPECT_EQ(differs("s", 64, 8, kOwn), "");
  EXPECT_EQ(differs("s", 400, 8, kOld), "");
}

TEST_F(RevertTest, it_can_be_done_again) {
  diverge();
  for (unsigned i = 0; i < 3; ++i) {
    revert();
    revert_all();
    expect_snapshot_content("base");
    write("base", 0, 300, kNew + 10 * i);
  }
  revert();
  revert_all();
  expect_snapshot_content("base");
  expect_snapshot_content("s");
}

TEST_F(RevertTest, it_says_when_it_begins_and_when_it_has_finished) {
  diverge();
  revert();
  set_->merge_step("base", kChunk);
  const std::string details = target("base")->details();
  revert_all();

  EXPECT_NE(details.find("revert: running\nrevert_to: s\n"
                         "revert_total_chunks: 4\nrevert_reverted_chunks: 1\n"),
            std::string::npos)
      << details;
  std::vector<std::string> texts;
  for (const Event& event : events_.events()) {
    if (event.kind == EventKind::revert) texts.push_back(event.text);
  }
  EXPECT_EQ(texts,
            (std::vector<std::string>{"begins: 4 chunks to revert to s",
                                      "finished: 4 chunks reverted to s"}));
}

// --- Order -------------------------------------------------------------------

TEST_F(RevertTest, the_intent_is_durable_before_the_origin_is_written) {
  diverge();
  target("s")->flush();
  target("base")->flush();
  recording_->clear();

  set_->revert("s", {});

  EXPECT_EQ(recorded(), (std::vector<std::string>{
                            "flush origin", "flush s-cow", "flush s-cow",
                            "zero s-cow 24576+4096", "flush s-cow",
                            "write_durable s-cow 0+512"}));
}

TEST_F(RevertTest, a_step_copies_flushes_the_origin_and_marks_what_is_done) {
  diverge();
  revert();

  set_->merge_step("base");

  EXPECT_EQ(recorded(), (std::vector<std::string>{
                            "write origin 8192+8192", "write origin 32768+4096",
                            "write origin 81920+4096", "flush origin",
                            "write s-cow 24576+4096", "flush s-cow"}));
  recording_->clear();
  EXPECT_EQ(set_->merge_step("base"), 0u);
  EXPECT_EQ(recorded(),
            (std::vector<std::string>{"write s-cow 0+512", "flush s-cow"}));
}

TEST_F(RevertTest, a_writer_of_either_has_its_chunks_done_first) {
  for (const std::string& name : {std::string("base"), std::string("s")}) {
    SCOPED_TRACE(name);
    diverge();
    revert();

    write(name, 160, 2, kLate);

    const std::vector<std::string> ops = recorded();
    ASSERT_EQ(ops.size(), 5u);
    EXPECT_EQ(ops[0], "write origin 81920+4096");
    EXPECT_EQ(ops[1], "flush origin");
    EXPECT_TRUE(ops[2].starts_with("write s-cow")) << ops[2];
    EXPECT_EQ(ops[3], "flush s-cow");
    EXPECT_TRUE(ops[4].ends_with("+1024")) << ops[4];
    const std::string other = name == "s" ? "base" : "s";
    EXPECT_EQ(differs(other, 160, 8, kOld), "");
    EXPECT_EQ(differs(name, 160, 2, kLate), "");
    revert_all();
    EXPECT_EQ(differs(other, 160, 8, kOld), "");
    EXPECT_EQ(differs(name, 160, 2, kLate), "");
    EXPECT_EQ(differs(name, 162, 6, kOld), "");
    write("base", 160, 8, kOld);
    write("s", 160, 8, kOld);
  }
}

TEST_F(RevertTest, other_chunks_are_written_as_ever) {
  diverge();
  revert();

  write("base", 400, 8, kLate);

  EXPECT_EQ(recorded(),
            (std::vector<std::string>{"write s-cow 28672+4096", "flush s-cow",
                                      "write_durable s-cow 4096+4096",
                                      "write origin 204800+4096"}));
  revert_all();
  EXPECT_EQ(differs("base", 400, 8, kLate), "");
  EXPECT_EQ(differs("s", 400, 8, kOld), "");
}

TEST_F(RevertTest, other_snapshots_keep_their_content_throughout) {
  diverge();
  set_->load({snapshot("t", 16)});
  auto expect_t = [&] {
    EXPECT_EQ(differs("t", 0, 16, kOld), "");
    EXPECT_EQ(differs("t", 16, 16, kNew), "");
    EXPECT_EQ(differs("t", 32, 128, kOld), "");
    EXPECT_EQ(differs("t", 160, 8, kNew), "");
  };
  revert();

  expect_t();
  set_->merge_step("base", kChunk);
  const std::vector<std::string> ops = recorded();
  ASSERT_GT(ops.size(), 3u);
  EXPECT_TRUE(ops[0].starts_with("write t-cow")) << ops[0];
  EXPECT_EQ(ops[1], "flush t-cow");
  EXPECT_TRUE(ops[2].starts_with("write_durable t-cow")) << ops[2];
  expect_t();
  write("base", 0, 200, kLate);
  expect_t();
  revert_all();
  expect_t();
}

TEST_F(RevertTest, a_read_on_the_cow_holds_up_what_would_change_that) {
  diverge();
  revert();
  s_.counting->hold(kRead);
  in_a_thread([this] { EXPECT_EQ(differs("base", 160, 8, kOld), ""); });
  s_.counting->wait_until_held(kRead, 1);
  const std::atomic<bool>& has_written =
      in_a_thread([this] { write("s", 160, 8, kLate); });
  // The copy's own read comes next.
  s_.counting->wait_until_held(kRead, 2);
  EXPECT_FALSE(has_written);

  s_.counting->release();
  threads_.join();

  EXPECT_EQ(differs("base", 160, 8, kOld), "");
  EXPECT_EQ(differs("s", 160, 8, kLate), "");
}

TEST_F(RevertTest, what_the_origin_has_beyond_the_snapshot_stays) {
  Table table = snapshot("t");
  snapshot_of(table).length_sectors = 1001;
  set_->load({table});
  write("base", 0, kOriginSectors, kNew);
  set_->revert("t", {});
  auto expect_content = [&] {
    EXPECT_EQ(differs("base", 0, 1001, kOld), "");
    EXPECT_EQ(differs("base", 1001, kOriginSectors - 1001, kNew), "");
  };

  expect_content();
  write("base", 1001, 2, kLate);
  EXPECT_EQ(differs("base", 1001, 2, kLate), "");
  write("base", 1001, 2, kNew);
  revert_all();

  expect_content();
  EXPECT_EQ(differs("s", 0, kOriginSectors, kOld), "");
}

TEST_F(RevertTest, holes_are_told_of_where_the_content_is) {
  opener_.add("empty", kOriginSectors * kSectorBytes);
  Table table = snapshot("t");
  snapshot_of(table).origin = "other";
  set_->load({origin_table("other", "empty"), table});
  write("t", 16, 8, kOwn);
  set_->revert("t", {});

  EXPECT_FALSE(target("other")->extent_at(0).is_data);
  EXPECT_EQ(target("other")->extent_at(0).length, 16 * kSectorBytes);
  EXPECT_TRUE(target("other")->extent_at(16 * kSectorBytes).is_data);
}

// --- After a crash -----------------------------------------------------------

TEST_F(RevertTest, the_next_mount_goes_on) {
  diverge();
  revert();
  set_->merge_step("base", kChunk);
  write("base", 160, 8, kLate);
  write("s", 16, 8, kLate);
  write("base", 400, 8, kLate);

  reopen();

  auto expect_content = [&] {
    EXPECT_EQ(differs("base", 0, 64, kOld), "");
    EXPECT_EQ(differs("base", 64, 8, kOwn), "");
    EXPECT_EQ(differs("base", 160, 8, kLate), "");
    EXPECT_EQ(differs("base", 400, 8, kLate), "");
    EXPECT_EQ(differs("s", 16, 8, kLate), "");
    EXPECT_EQ(differs("s", 24, 40, kOld), "");
    EXPECT_EQ(differs("s", 64, 8, kOwn), "");
    EXPECT_EQ(differs("s", 160, 8, kOld), "");
    EXPECT_EQ(differs("s", 400, 8, kOld), "");
  };
  ASSERT_TRUE(is_reverting());
  expect_content();
  revert_all();
  expect_content();
  EXPECT_FALSE(is_reverting());
  reopen();
  expect_content();
  EXPECT_FALSE(is_reverting());
}

// Every operation of a revert, and of writes meanwhile, is the last one; what
// was not durable may be lost.
TEST_F(RevertTest, a_power_cut_at_any_point_leaves_what_can_be_finished) {
  diverge();
  target("s")->flush();
  target("base")->flush();
  const std::vector<std::byte> origin = origin_.memory->content();
  const std::vector<std::byte> cow = s_.memory->content();
  recording_->clear();
  set_->revert("s", {});
  const size_t begun = recording_->ops().size();
  set_->merge_step("base", kChunk);
  set_->merge_step("base");
  set_->merge_step("base");
  const std::vector<RecordedOp> ops = recording_->ops();
  ASSERT_GT(ops.size(), begun + 5);

  std::mt19937 random(1);
  for (size_t count = 0; count <= ops.size(); ++count) {
    for (unsigned luck = 0; luck < 3; ++luck) {
      SCOPED_TRACE("operation " + std::to_string(count));
      auto survives = [&](size_t, uint64_t) {
        return luck == 0 || (luck == 1 && random() % 2 == 0);
      };
      set_.reset();
      for (auto& [device, image] :
           {std::pair{&origin_, &origin}, std::pair{&s_, &cow}}) {
        std::vector<RecordedOp> own;
        for (size_t i = 0; i < count; ++i) {
          if (ops[i].device == device->memory->name()) own.push_back(ops[i]);
        }
        // What is not the last operation of all was answered.
        if (count == 0 || ops[count - 1].device != device->memory->name()) {
          own.push_back({kWrite, device->memory->name(), 0, 0, {}});
        }
        device->memory->write(
            0, after_power_cut(*image, own, own.size(), survives));
      }
      reopen();
      if (count > begun || is_reverting()) expect_snapshot_content("base");
      expect_snapshot_content("s");
      if (is_reverting()) revert_all();
      if (count <= begun) continue;
      expect_snapshot_content("base");
      EXPECT_EQ(origin_differs(16, 16, kOld), "");
    }
  }
}

TEST_F(RevertTest, a_store_that_was_used_elsewhere_gives_the_revert_up) {
  diverge();
  revert();
  // Where the marks lie there is data, and a record of it.
  std::vector<std::byte> record(kRecordBytes);
  pack_record({100, 6}, record);
  set_.reset();
  s_.memory->write(4096 + 4 * kRecordBytes, record);

  reopen();

  EXPECT_FALSE(is_reverting());
  EXPECT_EQ(differs("base", 16, 16, kNew), "");
  const std::vector<Event> events = events_.events();
  EXPECT_TRUE(std::any_of(events.begin(), events.end(), [](const Event& event) {
    return event.text.find("the revert to it is given up") != std::string::npos;
  }));
  // For good.
  EXPECT_FALSE(unpack_revert_note(read_range(*s_.memory, sectors(0, 1))));
}

TEST_F(RevertTest, a_note_needs_a_writable_origin) {
  diverge();
  revert();
  set_.reset();
  set_ = std::make_unique<DeviceSet>(opener_, events_);
  Table alone = snapshot("s");
  snapshot_of(alone).origin = snapshot_of(alone).origin_path = "origin";
  Table read_only = origin_table("base", "origin");
  std::get<OriginTable>(read_only.target).read_only = true;

  for (const std::vector<Table>& tables :
       {std::vector<Table>{alone},
        std::vector<Table>{read_only, snapshot("s")}}) {
    EXPECT_NE(refusal([&] { set_->load(tables); })
                  .find("a revert to s is under way, which has to be finished "
                        "first: its origin, origin, has to be a device of this "
                        "mount, and writable"),
              std::string::npos);
  }
  EXPECT_NE(refusal([&] {
              set_->load({merge_table("base", "origin", "s-cow")});
            }).find("load it as a snapshot, which finishes that"),
            std::string::npos);
}

TEST_F(RevertTest, an_origin_that_was_written_without_its_snapshot_is_kept) {
  diverge();
  revert();
  set_.reset();
  set_ = std::make_unique<DeviceSet>(opener_, events_);
  set_->load({origin_table("base", "origin")});
  ASSERT_TRUE(set_->find("base")->try_open());

  EXPECT_NE(refusal([&] {
              set_->load({snapshot("s")});
            }).find("change the content of base under its users"),
            std::string::npos);
  set_->find("base")->closed();
  write("base", 500, 1, kLate);
  EXPECT_NE(refusal([&] {
              set_->load({snapshot("s")});
            }).find("its origin base was written without it"),
            std::string::npos);
  Table table = snapshot("s");
  snapshot_of(table).cow.accept_stale = true;
  set_->load({table});
  EXPECT_TRUE(is_reverting());
  EXPECT_EQ(differs("base", 16, 16, kOld), "");
}

// --- What is refused ---------------------------------------------------------

TEST_F(RevertTest, what_cannot_be_is_refused_and_changes_nothing) {
  Table transient =
      snapshot_table("n", "base", "t-cow", StoreType::transient, 8);
  set_->load({transient});
  auto refused = [&](const std::string& name) {
    return refusal([&] { set_->revert(name, {}); });
  };

  EXPECT_NE(refused("n").find("n is transient"), std::string::npos);
  EXPECT_NE(refused("base").find("base is no live snapshot"),
            std::string::npos);
  EXPECT_NE(refused("x"), "");
  ASSERT_TRUE(set_->find("base")->try_open());
  EXPECT_NE(
      refused("s").find("the revert would change the content of base "
                        "under its users; `--force` reverts all the same"),
      std::string::npos);
  EXPECT_FALSE(is_reverting());
  set_->revert("s", {true, 0});
  EXPECT_TRUE(is_reverting());
  EXPECT_NE(refused("s").find("base is being reverted already, to s"),
            std::string::npos);
}

TEST_F(RevertTest, a_read_only_origin_is_refused) {
  set_.reset();
  set_ = std::make_unique<DeviceSet>(opener_, events_);
  Table origin = origin_table("base", "origin");
  std::get<OriginTable>(origin.target).read_only = true;
  set_->load({origin, snapshot("s")});

  EXPECT_NE(refusal([&] {
              set_->revert("s", {});
            }).find("the origin base is read-only"),
            std::string::npos);
}

TEST_F(RevertTest, an_origin_that_is_no_device_is_refused) {
  set_.reset();
  set_ = std::make_unique<DeviceSet>(opener_, events_);
  Table alone = snapshot("s");
  snapshot_of(alone).origin = snapshot_of(alone).origin_path = "origin";
  set_->load({alone});

  EXPECT_NE(refusal([&] {
              set_->revert("s", {});
            }).find("its origin, origin, is no device of this mount"),
            std::string::npos);
}

TEST_F(RevertTest, without_room_for_the_marks_it_is_refused) {
  opener_.add("t-cow", 5 * 4096);
  set_->load({snapshot("t")});
  write("t", 0, 24, kOwn);

  EXPECT_NE(refusal([&] {
              set_->revert("t", {});
            }).find("has no room for the marks of a revert"),
            std::string::npos);
  EXPECT_FALSE(is_reverting());
  write("base", 0, 8, kNew);
  EXPECT_EQ(differs("t", 0, 24, kOwn), "");
}

TEST_F(RevertTest, meanwhile_nothing_is_taken_merged_or_removed) {
  diverge();
  revert();

  EXPECT_NE(refusal([&] {
              set_->load({snapshot("t")});
            }).find("a snapshot cannot be taken during a revert"),
            std::string::npos);
  EXPECT_NE(refusal([&] {
              set_->load({merge_table("base", "origin", "s-cow")});
            }).find("the origin is being reverted to s"),
            std::string::npos);
  for (const char* name : {"s", "base"}) {
    EXPECT_NE(refusal([&] {
                set_->remove(name);
              }).find("cannot be removed before the revert to s has ended"),
              std::string::npos);
  }
  revert_all();
  set_->load({snapshot("t")});
}

TEST_F(RevertTest, there_is_none_during_a_merge) {
  diverge();
  set_->load({snapshot("t")});
  set_->load({merge_table("base", "origin", "s-cow")});
  set_->suspend("s");

  EXPECT_NE(refusal([&] {
              set_->revert("t", {});
            }).find("a snapshot is being merged into base"),
            std::string::npos);
}

TEST_F(RevertTest, a_handover_takes_it_along) {
  diverge();
  revert();
  Table table = snapshot("u");
  snapshot_of(table).cow.path = "s-cow";
  set_->load({table});
  set_->suspend("s");

  EXPECT_NE(target("base")->details().find("revert_to: u\n"),
            std::string::npos);
  set_->merge_step("base", kChunk);
  write("u", 160, 8, kLate);
  EXPECT_EQ(differs("base", 160, 8, kOld), "");
  revert_all();
  EXPECT_EQ(differs("base", 0, 64, kOld), "");
  EXPECT_EQ(differs("u", 160, 8, kLate), "");
}

// --- When something fails ----------------------------------------------------

TEST_F(RevertTest, a_step_that_failed_is_done_again) {
  struct Case {
    Layers* device;
    unsigned ops;
    std::string text;
  };
  for (const Case& each :
       {Case{&s_, kRead, "Read error: shutting down revert"},
        Case{&origin_, kWrite, "Write error: shutting down revert"},
        Case{&origin_, kFlush, "Flush after revert failed"},
        Case{&s_, kWrite, "Write error in exception store"}}) {
    SCOPED_TRACE(each.text);
    diverge();
    write("base", 0, 300, kNew);
    revert();
    each.device->faulty->inject({.ops = each.ops});

    EXPECT_NE(refusal([&] { set_->merge_step("base"); }).find(each.text),
              std::string::npos);
    expect_snapshot_content("base");
    expect_snapshot_content("s");
    EXPECT_NE(target("base")->details().find("revert: failed\n"),
              std::string::npos);
    EXPECT_GT(events_.count(EventKind::revert_failed), 0u);
    each.device->faulty->heal();
    recording_->clear();
    set_->resume("base");
    set_->merge_step("base");
    EXPECT_TRUE(recorded().front().starts_with("write origin"));
    EXPECT_NE(target("base")->details().find("revert: running\n"),
              std::string::npos);
    revert_all();
    expect_snapshot_content("base");
    refusal([&] { target("base")->flush(); });  // is told of what failed
  }
}

// A device tells one flush alone; the copies are in doubt all the same.
TEST_F(RevertTest, a_flush_of_somebody_else_that_fails_puts_copies_in_doubt) {
  diverge();
  revert();
  origin_.counting->hold(kWrite);
  in_a_thread([this] {
    EXPECT_THAT(refusal([this] { set_->merge_step("base"); }),
                HasSubstr("injected fault on origin"));
  });
  origin_.counting->wait_until_held(kWrite, 1);
  origin_.faulty->inject({.ops = kFlush});

  // It was told, and somebody said that the device is to go on.
  EXPECT_NE(refusal([&] { target("base")->flush(); }), "");
  set_->resume("base");
  origin_.counting->release();
  threads_.join();

  expect_snapshot_content("base");
  recording_->clear();
  set_->merge_step("base");
  EXPECT_EQ(recorded().front(), "write origin 8192+8192");
}

// One error, and whatever it was about, both have lost it.
TEST_F(RevertTest, a_commit_and_a_step_that_flush_at_once_fail_together) {
  for (const bool is_last_step : {false, true}) {
    for (const bool is_commit_first : {true, false}) {
      SCOPED_TRACE(testing::Message() << is_last_step << is_commit_first);
      diverge();
      revert();
      if (is_last_step) set_->merge_step("base");
      write("s", 400, 8, kLate);
      const auto commit = [this] {
        EXPECT_THAT(refusal([this] { target("s")->flush(); }),
                    HasSubstr("injected fault on s-cow"));
      };
      const auto step = [this] {
        EXPECT_THAT(refusal([this] { set_->merge_step("base"); }),
                    HasSubstr("injected fault on s-cow"));
      };
      s_.counting->hold(kAnyBarrier);
      is_commit_first ? in_a_thread(commit) : in_a_thread(step);
      s_.counting->wait_until_held(kAnyBarrier, 1);
      is_commit_first ? in_a_thread(step) : in_a_thread(commit);
      give_others_time();

      s_.faulty->inject({.ops = kAnyBarrier});
      s_.counting->release();
      threads_.join();
      EXPECT_TRUE(is_reverting());
      reopen();
      if (!is_last_step) revert_all();
    }
  }
}

TEST_F(RevertTest, whoever_flushes_is_told_of_a_failed_flush_until_resume) {
  diverge();
  revert();
  origin_.faulty->inject({.ops = kFlush});
  EXPECT_NE(refusal([&] { set_->merge_step("base"); }), "");

  EXPECT_NE(refusal([&] { target("base")->flush(); }), "");
  EXPECT_NE(refusal([&] { target("base")->flush(); }), "");
  set_->resume("base");
  EXPECT_EQ(refusal([&] { target("base")->flush(); }), "");
}

TEST_F(RevertTest, a_writer_whose_chunks_cannot_be_done_gets_the_error) {
  diverge();
  revert();
  origin_.faulty->inject({.ops = kWrite});

  EXPECT_NE(refusal([&] { write("s", 160, 8, kLate); }), "");

  EXPECT_EQ(differs("s", 160, 8, kOld), "");
  write("s", 160, 8, kLate);
  EXPECT_EQ(differs("base", 160, 8, kOld), "");
}

TEST_F(RevertTest, a_note_that_cannot_be_written_is_no_revert) {
  diverge();
  s_.faulty->inject({.ops = kWriteDurable, .range = ByteRange{0, 512}});

  EXPECT_NE(refusal([&] { set_->revert("s", {}); }), "");

  EXPECT_FALSE(is_reverting());
  EXPECT_EQ(differs("base", 16, 16, kNew), "");
  EXPECT_FALSE(unpack_revert_note(read_range(*s_.memory, sectors(0, 1))));
  write("base", 400, 8, kLate);
  revert();
  expect_snapshot_content("base");
}

TEST_F(RevertTest, a_note_of_which_nobody_knows_counts) {
  diverge();
  s_.faulty->inject(
      {.ops = kAnyWrite, .range = ByteRange{0, 512}, .for_ever = true});

  set_->revert("s", {});

  expect_snapshot_content("base");
  EXPECT_NE(refusal([&] {
              set_->merge_step("base");
            }).find("The intent could not be noted"),
            std::string::npos);
  EXPECT_EQ(origin_differs(16, 16, kNew), "");
  s_.faulty->heal();
  recording_->clear();
  set_->merge_step("base");
  EXPECT_EQ(recorded().front(), "write s-cow 0+512");
  revert_all();
  expect_snapshot_content("base");
}

// The snapshot holds what the origin is to become.
TEST_F(RevertTest, the_snapshot_does_not_become_invalid_meanwhile) {
  opener_.add("t-cow", 7 * 4096);
  set_->load({snapshot("t")});
  write("base", 0, 24, kNew);
  set_->revert("t", {});
  write("base", 100, 1, kLate);

  EXPECT_NE(refusal([&] { write("base", 300, 1, kLate); }), "");

  EXPECT_EQ(differs("base", 0, 24, kOld), "");
  EXPECT_EQ(differs("base", 300, 1, kOld), "");
  revert_all();
  EXPECT_EQ(differs("t", 0, 24, kOld), "");
  EXPECT_EQ(differs("base", 0, 24, kOld), "");
}

// --- In the background -------------------------------------------------------

TEST_F(RevertTest, the_background_does_it_and_a_suspended_origin_pauses_it) {
  diverge();
  set_->suspend("base");
  set_->start_merging();
  set_->revert("s", {});

  EXPECT_NE(target("base")->details().find("revert: suspended\n"),
            std::string::npos);
  set_->resume("s");
  EXPECT_TRUE(is_reverting());
  EXPECT_EQ(origin_differs(16, 16, kNew), "");
  set_->resume("base");
  eventually([&] { return !is_reverting(); });
  EXPECT_EQ(origin_differs(16, 16, kOld), "");
}

TEST_F(RevertTest, a_rate_can_be_given_and_changed) {
  diverge();
  set_->start_merging();
  set_->revert("s", {false, 1});
  eventually([&] {
    return target("base")->details().find("revert_reverted_chunks: 1\n") !=
           std::string::npos;
  });
  EXPECT_NE(target("base")->details().find("revert_rate: 1\n"),
            std::string::npos);

  set_->set_revert_rate("s", 0);
  eventually([&] { return !is_reverting(); });
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// A merge, step by step: what each view shows, what goes to which device in
// which order, who waits for whom, and what happens when something fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/merging_snapshot.h"
#include "tests/support/eventually.h"
#include "tests/support/failing_allocations.h"
#include "tests/support/memory_device.h"
#include "tests/support/pattern.h"
#include "tests/support/recording_device.h"
#include "tests/support/tables.h"
#include "tests/unit/core/origin_and_snapshot.h"

namespace snapfs::test {
namespace {

using testing::HasSubstr;

class MergeTest : public OriginAndSnapshot {
 protected:
  // `s` is merged into `base` from now on.
  void merge() {
    set_->load({merge_table("base", "origin", "s-cow")});
    set_->suspend("s");
    reset();
  }

  void merge_all() {
    while (set_->merge_step("base") != 0) {
    }
  }

  void reset() {
    recording_->clear();
    for (Layers* each : {&origin_, &s_, &t_}) each->counting->reset_counts();
  }

  Merger& merger() {
    return std::dynamic_pointer_cast<MergingSnapshot>(target("base"))->merger();
  }

  std::string status() { return target("base")->status_line(); }
};

// --- What is shown -----------------------------------------------------------

TEST_F(MergeTest, the_origin_shows_the_snapshot_from_the_first_instant) {
  diverge();
  EXPECT_EQ(differs("base", 16, 16, kNew), "");

  merge();

  expect_snapshot_content("base");
  EXPECT_EQ(recorded(), std::vector<std::string>{});
  EXPECT_EQ(set_->find("s")->state_text(), "handed over to base\n");
  EXPECT_EQ(status(), "0 2048 snapshot-merge 48/4096 16");
  EXPECT_EQ(target("base")->table_line(),
            "0 2048 snapshot-merge origin s-cow P 8");
}

TEST_F(MergeTest, every_step_leaves_the_content_as_it_is) {
  diverge();
  merge();

  while (merger().step({4096, 1}) != 0) expect_snapshot_content("base");

  EXPECT_EQ(origin_differs(0, 64, kOld), "");
  EXPECT_EQ(origin_differs(64, 8, kOwn), "");
}

TEST_F(MergeTest, steps_go_backwards_and_show_the_kernels_status) {
  diverge();
  merge();
  std::vector<std::string> found;

  while (merger().step({uint64_t{1} << 20, 1}) != 0) {
    found.push_back(status().substr(status().find("merge ") + 6));
  }

  EXPECT_EQ(found, (std::vector<std::string>{"40/4096 16", "32/4096 16",
                                             "16/4096 16"}));
}

TEST_F(MergeTest, the_device_is_a_plain_origin_in_the_end) {
  diverge();
  merge();

  merge_all();

  EXPECT_EQ(status(), "0 2048 snapshot-origin ");
  EXPECT_EQ(target("base")->table_line(), "0 2048 snapshot-origin origin");
  EXPECT_EQ(set_->find("base")->live_table()->name, "base");
  EXPECT_TRUE(std::holds_alternative<OriginTable>(
      set_->find("base")->live_table()->target));
  expect_snapshot_content("base");
  set_->remove("s");
  EXPECT_EQ(opener_.open_count("s-cow"), 0u);
}

TEST_F(MergeTest, a_merge_says_when_it_begins_and_when_it_has_finished) {
  diverge();
  merge();
  merge_all();

  std::vector<std::string> texts;
  for (const Event& event : events_.events()) {
    if (event.kind == EventKind::merge) texts.push_back(event.text);
  }
  EXPECT_EQ(texts, (std::vector<std::string>{
                       "begins: 4 chunks to merge from s-cow",
                       "finished: 4 chunks merged, s-cow is not in use any "
                       "more"}));
}

TEST_F(MergeTest, progress_is_counted_in_chunks) {
  diverge();
  merge();

  merger().step({4096, 1});

  EXPECT_EQ(merger().progress().total, 4u);
  EXPECT_EQ(merger().progress().merged, 1u);
  std::string details = target("base")->details();
  EXPECT_NE(details.find("merge: running\n"), std::string::npos);
  EXPECT_NE(details.find("merge_merged_chunks: 1\n"), std::string::npos);
}

// --- Order -------------------------------------------------------------------

TEST_F(MergeTest, a_step_copies_flushes_the_origin_and_clears_the_records) {
  diverge();
  merge();

  set_->merge_step("base");

  EXPECT_EQ(recorded(), (std::vector<std::string>{
                            "write origin 8192+8192", "write origin 32768+4096",
                            "write origin 81920+4096", "flush origin",
                            "write_durable s-cow 4096+4096"}));
}

TEST_F(MergeTest, other_snapshots_save_the_old_content_before_it_is_gone) {
  diverge();
  set_->load({snapshot("t")});
  merge();

  merger().step({4096, 1});  // chunk 20

  EXPECT_EQ(recorded(),
            (std::vector<std::string>{"write t-cow 8192+4096", "flush t-cow",
                                      "write_durable t-cow 4096+4096",
                                      "write origin 81920+4096", "flush origin",
                                      "write_durable s-cow 4096+4096"}));
}

TEST_F(MergeTest, other_snapshots_keep_their_content_throughout) {
  diverge();
  set_->load({snapshot("t", 16)});
  merge();
  auto expect_t = [&] {
    EXPECT_EQ(differs("t", 0, 16, kOld), "");
    EXPECT_EQ(differs("t", 16, 16, kNew), "");
    EXPECT_EQ(differs("t", 32, 128, kOld), "");
    EXPECT_EQ(differs("t", 160, 8, kNew), "");
  };

  expect_t();
  while (merger().step({4096, 1}) != 0) expect_t();
  write("base", 0, 200, kLate);
  expect_t();
}

TEST_F(MergeTest, the_last_part_of_a_chunk_at_the_origins_end_is_left_out) {
  auto origin = std::make_shared<MemoryDevice>(1003 * kSectorBytes, "short");
  stamp_device(*origin, sectors(0, 1003), kOld);
  opener_.add("short", origin);
  auto table = snapshot("t");
  snapshot_of(table).origin = "other";
  set_->load({origin_table("other", "short"), table});
  write("t", 1000, 3, kOwn);

  set_->load({merge_table("other", "short", "t-cow")});
  set_->suspend("t");
  while (set_->merge_step("other") != 0) {
  }

  EXPECT_EQ(stamp_difference(read_range(*origin, sectors(1000, 3)), 1000, kOwn),
            "");
}

// --- Requests meanwhile ------------------------------------------------------

TEST_F(MergeTest, a_write_goes_to_the_cow_before_and_to_the_origin_after) {
  diverge();
  merge();
  merger().step({4096, 1});  // chunk 20
  reset();

  write("base", 64, 8, kLate);   // an exception
  write("base", 160, 8, kLate);  // merged
  write("base", 400, 8, kLate);  // never one

  EXPECT_EQ(recorded(), (std::vector<std::string>{"write s-cow 16384+4096",
                                                  "write origin 81920+4096",
                                                  "write origin 204800+4096"}));
  for (uint64_t first : {64u, 160u, 400u}) {
    EXPECT_EQ(differs("base", first, 8, kLate), "");
  }
  merge_all();
  for (uint64_t first : {64u, 160u, 400u}) {
    EXPECT_EQ(origin_differs(first, 8, kLate), "");
  }
}

TEST_F(MergeTest, one_request_may_go_everywhere) {
  diverge();
  merge();
  merger().step({4096, 1});

  write("base", 3, 300, kLate);

  EXPECT_EQ(differs("base", 0, 3, kOld), "");
  EXPECT_EQ(differs("base", 3, 300, kLate), "");
  merge_all();
  EXPECT_EQ(origin_differs(3, 300, kLate), "");
}

TEST_F(MergeTest, a_write_to_the_origin_saves_for_other_snapshots_first) {
  diverge();
  set_->load({snapshot("t")});
  merge();

  write("base", 400, 8, kLate);

  EXPECT_EQ(recorded(),
            (std::vector<std::string>{"write t-cow 8192+4096", "flush t-cow",
                                      "write_durable t-cow 4096+4096",
                                      "write origin 204800+4096"}));
  EXPECT_EQ(differs("t", 400, 8, kOld), "");
}

TEST_F(MergeTest, zeroes_go_where_data_goes) {
  diverge();
  merge();
  merger().step({4096, 1});

  target("base")->zero(sectors(16, 160));

  std::vector<std::byte> data(160 * kSectorBytes, std::byte{1});
  target("base")->read(16 * kSectorBytes, data);
  EXPECT_EQ(data, std::vector<std::byte>(data.size()));
  merge_all();
  EXPECT_EQ(read_range(*origin_.memory, sectors(16, 160)), data);
  EXPECT_EQ(origin_differs(176, 8, kOld), "");
}

TEST_F(MergeTest, a_flush_makes_both_devices_durable) {
  diverge();
  merge();

  target("base")->flush();

  EXPECT_EQ(recorded(),
            (std::vector<std::string>{"flush s-cow", "flush origin"}));
}

TEST_F(MergeTest, a_step_waits_for_writes_to_its_chunks_that_are_inside) {
  diverge();
  merge();
  s_.counting->hold(kWrite);
  in_a_thread([this] { write("base", 160, 8, kLate); });
  s_.counting->wait_until_held(kWrite, 1);
  const std::atomic<bool>& is_done = in_a_thread([this] { merger().step(); });
  EXPECT_EQ(origin_.counting->counts().writes, 0u);

  s_.counting->release();
  eventually([&] { return is_done.load(); });

  EXPECT_EQ(origin_differs(160, 8, kLate), "");
  EXPECT_EQ(differs("base", 160, 8, kLate), "");
}

TEST_F(MergeTest, a_write_to_the_run_being_merged_waits_for_that_run_alone) {
  diverge();
  merge();
  origin_.counting->hold(kFlush);
  in_a_thread([this] { merger().step({4096, 1}); });  // chunk 20
  origin_.counting->wait_until_held(kFlush, 1);
  const std::atomic<bool>& is_written =
      in_a_thread([this] { write("base", 160, 8, kLate); });

  // Others go on: an exception that is not in this run, and what is none.
  write("base", 64, 8, kLate);
  write("base", 500, 8, kLate);
  EXPECT_EQ(differs("base", 160, 8, kOld), "");
  EXPECT_FALSE(is_written);

  origin_.counting->release();
  eventually([&] { return is_written.load(); });
  EXPECT_EQ(differs("base", 160, 8, kLate), "");
  EXPECT_EQ(origin_differs(160, 8, kLate), "");
}

TEST_F(MergeTest, reads_of_the_run_being_merged_wait_for_nothing) {
  diverge();
  merge();
  origin_.counting->hold(kWrite);
  in_a_thread([this] { merger().step(); });
  origin_.counting->wait_until_held(kWrite, 1);

  expect_snapshot_content("base");
}

TEST_F(MergeTest, an_old_read_of_another_snapshot_is_waited_for) {
  diverge();
  set_->load({snapshot("t")});
  merge();
  origin_.counting->hold(kRead);
  in_a_thread([this] { EXPECT_EQ(differs("t", 160, 8, kNew), ""); });
  origin_.counting->wait_until_held(kRead, 1);
  in_a_thread([this] { merger().step({4096, 1}); });
  // The copy for `t` reads the origin as well; the old read stays.
  origin_.counting->wait_until_held(kRead, 2);
  EXPECT_EQ(origin_.counting->counts().writes, 0u);

  origin_.counting->release();
  threads_.join();
}

TEST_F(MergeTest, a_discard_is_refused_not_ignored) {
  merge();
  EXPECT_NE(refusal([&] { target("base")->discard(sectors(0, 8)); }), "");
}

// --- Failure -----------------------------------------------------------------

struct BadStep {
  const char* device;
  FaultyDevice::Fault fault;
  const char* words;
};

class MergeFailure : public MergeTest,
                     public testing::WithParamInterface<BadStep> {};

TEST_P(MergeFailure, loses_nothing_and_goes_on_when_the_cause_is_gone) {
  const BadStep& bad = GetParam();
  diverge();
  merge();
  FaultyDevice& device =
      *(std::string(bad.device) == "origin" ? origin_ : s_).faulty;
  device.inject(bad.fault);

  EXPECT_NE(refusal([&] { set_->merge_step("base"); }).find(bad.words),
            std::string::npos);

  EXPECT_EQ(status(), "0 2048 snapshot-merge Merge failed");
  EXPECT_NE(target("base")->details().find("merge: failed\n"),
            std::string::npos);
  EXPECT_EQ(events_.count(EventKind::merge_failed), 1u);
  device.heal();
  expect_snapshot_content("base");
  write("base", 160, 8, kLate);
  write("base", 20, 2, kLate);
  EXPECT_EQ(differs("base", 160, 8, kLate), "");

  set_->resume("base");
  merge_all();

  EXPECT_EQ(status(), "0 2048 snapshot-origin ");
  EXPECT_EQ(origin_differs(160, 8, kLate), "");
  EXPECT_EQ(origin_differs(16, 4, kOld), "");
  EXPECT_EQ(origin_differs(20, 2, kLate), "");
  EXPECT_EQ(origin_differs(22, 42, kOld), "");
  EXPECT_EQ(origin_differs(64, 8, kOwn), "");
}

INSTANTIATE_TEST_SUITE_P(
    Everywhere, MergeFailure,
    testing::Values(
        BadStep{"s-cow",
                {.ops = kRead, .for_ever = true},
                "Read error: shutting down merge"},
        BadStep{"origin",
                {.ops = kWrite, .for_ever = true},
                "Write error: shutting down merge"},
        BadStep{"origin",
                {.ops = kWrite, .skip = 1},
                "Write error: shutting down merge"},
        BadStep{"origin",
                {.ops = kFlush},
                "Flush after merge failed: shutting down merge"},
        BadStep{"s-cow",
                {.ops = kWriteDurable},
                "Write error in exception store: shutting down merge"}));

TEST_F(MergeTest, an_unreadable_area_is_not_skipped_when_tried_again) {
  // Chunks of one sector: areas of 32 records.
  set_->load({snapshot("t", 1)});
  for (uint64_t i = 0; i < 40; ++i) write("t", 2 * i, 1, kOwn);
  target("t")->flush();
  set_->load({merge_table("base", "origin", "t-cow")});
  set_->suspend("t");
  t_.faulty->inject({.ops = kRead,
                     .range = ByteRange{kSectorBytes, kSectorBytes},
                     .for_ever = true});
  set_->merge_step("base");  // the eight of the second area

  EXPECT_NE(refusal([&] {
              set_->merge_step("base");
            }).find("Read error in exception store: shutting down merge"),
            std::string::npos);
  t_.faulty->heal();
  merge_all();

  for (uint64_t i = 0; i < 40; ++i) {
    EXPECT_EQ(origin_differs(2 * i, 1, kOwn), "") << i;
  }
}

// The records may be gone although clearing them was answered with an error.
// What is written then must be there whichever way a crash reads it.
TEST_F(MergeTest, writes_in_doubt_survive_either_way) {
  for (bool arrived : {false, true}) {
    SCOPED_TRACE(arrived);
    diverge();
    merge();
    s_.faulty->inject({.ops = kWriteDurable});
    EXPECT_NE(refusal([&] { set_->merge_step("base"); }), "");
    if (arrived) s_.memory->zero(sectors(8, 8));  // area 0

    write("base", 162, 4, kLate);
    // What a durable write has met may be an error of earlier writes.
    EXPECT_NE(refusal([&] { target("base")->flush(); }), "");
    set_->resume("base");
    target("base")->flush();
    EXPECT_EQ(differs("base", 162, 4, kLate), "");
    reopen({merge_table("base", "origin", "s-cow")});

    EXPECT_EQ(differs("base", 160, 2, kOld), "");
    EXPECT_EQ(differs("base", 162, 4, kLate), "");
    EXPECT_EQ(differs("base", 166, 2, kOld), "");
    merge_all();
    EXPECT_EQ(origin_differs(162, 4, kLate), "");
    // Once more from the beginning.
    set_.reset();
    stamp_device(*origin_.memory, sectors(0, kOriginSectors), kOld);
    s_.memory->zero(sectors(0, kCowSectors));
    reopen();
  }
}

TEST_F(MergeTest, a_flush_that_failed_in_a_step_is_told_to_users) {
  diverge();
  merge();
  write("base", 500, 8, kLate);
  origin_.faulty->inject({.ops = kFlush});
  EXPECT_NE(refusal([&] { set_->merge_step("base"); }), "");

  EXPECT_NE(refusal([&] { target("base")->flush(); }), "");
  EXPECT_NE(refusal([&] { target("base")->flush(); }), "");
  set_->resume("base");
  EXPECT_EQ(refusal([&] { target("base")->flush(); }), "");
}

TEST_F(MergeTest, another_snapshot_that_is_full_does_not_stop_it) {
  diverge();
  opener_.add("small-cow", 3 * 8 * kSectorBytes);
  Table small = snapshot("small");
  set_->load({small});
  merge();

  merge_all();

  EXPECT_EQ(target("small")->status_line(), "0 2048 snapshot Invalid");
  expect_snapshot_content("base");
}

TEST_F(MergeTest, any_allocation_of_a_step_may_fail) {
  for (uint64_t skip = 0;; ++skip) {
    SCOPED_TRACE(skip);
    set_.reset();
    stamp_device(*origin_.memory, sectors(0, kOriginSectors), kOld);
    // Its pages are there, so that the device itself asks for no memory.
    s_.memory->write(0, std::vector<std::byte>(kCowSectors * kSectorBytes));
    reopen();
    diverge();
    merge();
    bool has_failed = false;
    {
      FailingAllocation failing(skip);
      try {
        merger().step();
      } catch (const std::exception&) {
      }
      has_failed = failing.has_failed();
    }
    expect_snapshot_content("base");
    merge_all();
    EXPECT_EQ(origin_differs(64, 8, kOwn), "");
    EXPECT_EQ(origin_differs(72, 200, kOld), "");
    EXPECT_EQ(status(), "0 2048 snapshot-origin ");
    if (!has_failed || HasFailure()) break;
  }
}

// --- Power cuts --------------------------------------------------------------

// The power fails after each operation of a merge with a write in the middle;
// of what was not durable nothing, all, or every other sector is there.
TEST_F(MergeTest, a_power_cut_at_any_point_leaves_what_can_be_merged) {
  diverge();
  target("s")->flush();
  merge();
  const std::vector<std::byte> origin = origin_.memory->content();
  const std::vector<std::byte> cow = s_.memory->content();
  merger().step({4096, 1});
  write("base", 160, 8, kLate);  // merged: to the origin
  write("base", 64, 8, kLate);   // not yet: to the COW
  target("base")->flush();
  const size_t flushed = recording_->ops().size();
  merge_all();
  const std::vector<RecordedOp> ops = recording_->ops();
  set_.reset();

  for (size_t cut = 1; cut <= ops.size(); ++cut) {
    for (unsigned kind = 0; kind < 4; ++kind) {
      SCOPED_TRACE("cut " + std::to_string(cut) + " kind " +
                   std::to_string(kind));
      auto survives = [&](size_t, uint64_t sector) {
        return kind == 1 || (kind == 2 && sector % 2 == 0) ||
               (kind == 3 && sector % 2 == 1);
      };
      auto restore = [&](Layers& layers, const std::vector<std::byte>& image,
                         const std::string& name) {
        std::vector<RecordedOp> own;
        size_t count = 0;
        for (size_t i = 0; i < ops.size(); ++i) {
          if (ops[i].device != name) continue;
          own.push_back(ops[i]);
          if (i < cut) ++count;
        }
        // The other device was idle when the power failed: its last operation
        // was answered.
        if (ops[cut - 1].device != name && count != 0) {
          own.insert(own.begin() + static_cast<std::ptrdiff_t>(count),
                     RecordedOp{kWrite, name, 0, 0, {}});
          ++count;
        }
        layers.memory->write(0, after_power_cut(image, own, count, survives));
      };
      restore(origin_, origin, "origin");
      restore(s_, cow, "s-cow");
      reopen({merge_table("base", "origin", "s-cow")});

      if (cut > flushed) {
        EXPECT_EQ(differs("base", 160, 8, kLate), "");
        EXPECT_EQ(differs("base", 64, 8, kLate), "");
      }
      EXPECT_EQ(differs("base", 0, 64, kOld), "");
      EXPECT_EQ(differs("base", 72, 88, kOld), "");
      EXPECT_EQ(differs("base", 168, 500, kOld), "");
      std::vector<std::byte> before(kOriginSectors * kSectorBytes);
      target("base")->read(0, before);
      merge_all();
      ASSERT_EQ(origin_.memory->content(), before);
      ASSERT_FALSE(HasFailure());
      set_.reset();
    }
  }
}

// A device tells one flush alone; the copies are in doubt all the same.
TEST_F(MergeTest, a_flush_of_somebody_else_that_fails_puts_copies_in_doubt) {
  diverge();
  merge();
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

// What it was told may have been about the records.
TEST_F(MergeTest, a_flush_of_the_cow_that_fails_puts_cleared_records_in_doubt) {
  diverge();
  merge();
  s_.counting->hold(kWriteDurable);
  in_a_thread([this] {
    EXPECT_THAT(refusal([this] { set_->merge_step("base"); }),
                HasSubstr("Write error in exception store"));
  });
  s_.counting->wait_until_held(kWriteDurable, 1);
  s_.faulty->inject({.ops = kFlush});
  EXPECT_NE(refusal([&] { target("base")->flush(); }), "");

  s_.counting->release();
  threads_.join();

  expect_snapshot_content("base");
  // Whichever of the devices a crash makes the one to be read.
  write("base", 16, 8, kLate);
  EXPECT_EQ(origin_differs(16, 8, kLate), "");
  EXPECT_EQ(differs("base", 16, 8, kLate), "");
  set_->resume("base");
  merge_all();
  EXPECT_EQ(origin_differs(16, 8, kLate), "");
}

}  // namespace
}  // namespace snapfs::test

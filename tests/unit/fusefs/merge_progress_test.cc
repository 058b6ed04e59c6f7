// SPDX-License-Identifier: MIT
//
// What `snapfs merge --wait` prints, from what the status file says.
#include "fusefs/merge_progress.h"

#include <gtest/gtest.h>

namespace snapfs {
namespace {

using std::chrono::milliseconds;
using Phase = MergeStatus::Phase;

std::string status_text(const std::string& phase, const std::string& more) {
  return "base: 0 8192 snapshot-merge 7:0 7:1 24/8192 16\norigin: 7:0\n"
         "merge: " +
         phase + "\nmerge_total_chunks: 4\n" + more;
}

TEST(MergeProgress, the_status_file_is_read) {
  const MergeStatus status = read_merge_status(status_text(
      "running", "merge_total_bytes: 16384\nmerge_merged_bytes: 4096\n"));
  EXPECT_EQ(Phase::running, status.phase);
  EXPECT_EQ(16384u, status.total);
  EXPECT_EQ(4096u, status.merged);
  EXPECT_EQ(Phase::suspended,
            read_merge_status(status_text("suspended", "")).phase);
}

TEST(MergeProgress, a_failure_comes_with_its_reason) {
  const MergeStatus status =
      read_merge_status(status_text("failed", "reason: \"disk: gone\"\n"));
  EXPECT_EQ(Phase::failed, status.phase);
  EXPECT_EQ("disk: gone", status.reason);
}

TEST(MergeProgress, what_is_no_merge_has_ended) {
  EXPECT_EQ(Phase::ended,
            read_merge_status("base: 0 8192 snapshot-origin 7:0\ndevice: 7:0\n")
                .phase);
}

TEST(MergeProgress, a_line_says_how_much_how_fast_and_how_long) {
  const MergeStatus status{Phase::running, 3 << 20, 30 << 20, ""};
  EXPECT_EQ("10 %, 3.0 MiB of 30.0 MiB", merge_line(status, std::nullopt));
  EXPECT_EQ("10 %, 3.0 MiB of 30.0 MiB, 512.0 KiB/s, 54 s left",
            merge_line(status, 512 * 1024.0));
  EXPECT_EQ("10 %, 3.0 MiB of 30.0 MiB, 1.0 KiB/s, 7 h 40 min left",
            merge_line(status, 1024.0));
  EXPECT_EQ("10 %, 3.0 MiB of 30.0 MiB, 100.0 KiB/s, 4 min 37 s left",
            merge_line(status, 102400.0));
}

TEST(MergeProgress, one_that_stands_still_has_no_time_left) {
  EXPECT_EQ("10 %, 3.0 MiB of 30.0 MiB, suspended",
            merge_line({Phase::suspended, 3 << 20, 30 << 20, ""}, 1024.0));
  EXPECT_EQ("10 %, 3.0 MiB of 30.0 MiB, 0 B/s",
            merge_line({Phase::running, 3 << 20, 30 << 20, ""}, 0.0));
}

TEST(MergeProgress, nothing_to_merge_is_all_of_it) {
  EXPECT_EQ("100 %, 0 B of 0 B",
            merge_line({Phase::running, 0, 0, ""}, std::nullopt));
}

TEST(MergeProgress, a_hundred_percent_is_all_of_it) {
  EXPECT_EQ(
      "99 %, 1023.0 MiB of 1.0 GiB",
      merge_line({Phase::running, 1023 << 20, 1 << 30, ""}, std::nullopt));
}

TEST(MergeProgress, a_bar_fills_what_there_is) {
  const MergeStatus status{Phase::running, 1 << 20, 2 << 20, ""};
  EXPECT_EQ("[#####     ] 50 %, 1.0 MiB of 2.0 MiB",
            merge_bar(status, std::nullopt, 38));
  EXPECT_EQ("[" + std::string(20, '#') + std::string(20, ' ') +
                "] 50 %, 1.0 MiB of 2.0 MiB",
            merge_bar(status, std::nullopt, 200));
}

TEST(MergeProgress, a_narrow_terminal_has_no_bar) {
  const MergeStatus status{Phase::running, 1 << 20, 2 << 20, ""};
  EXPECT_EQ("50 %, 1.0 MiB of 2.0 MiB", merge_bar(status, std::nullopt, 30));
  EXPECT_EQ("50 %, 1.0", merge_bar(status, std::nullopt, 10));
}

TEST(MergeProgress, the_pace_is_that_of_the_last_seconds) {
  MergePace pace;
  MergePace::Clock::time_point now{};
  pace.note(now, 0);
  EXPECT_FALSE(pace.rate());
  pace.note(now + milliseconds(100), 1000);
  EXPECT_FALSE(pace.rate()) << "it is too early to say";
  pace.note(now + milliseconds(1000), 10000);
  ASSERT_TRUE(pace.rate());
  EXPECT_DOUBLE_EQ(10000, *pace.rate());
  for (int i = 2; i <= 20; ++i) pace.note(now + milliseconds(1000 * i), 10000);
  EXPECT_DOUBLE_EQ(0, *pace.rate());
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What /proc tells about the sender of a request.
#include "fusefs/caller.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>

namespace snapfs {
namespace {

std::string status(const std::string& thread, const std::string& process,
                   const std::string& blocked, const std::string& ignored,
                   const std::string& caught) {
  return "Name:\tx\nTgid:\t42\nPid:\t43\nSigPnd:\t" + thread + "\nShdPnd:\t" +
         process + "\nSigBlk:\t" + blocked + "\nSigIgn:\t" + ignored +
         "\nSigCgt:\t" + caught + "\n";
}

const std::string kNone = "0000000000000000";
const std::string kKill = "0000000000000100";
const std::string kTerm = "0000000000004000";
const std::string kChild = "0000000000010000";
const std::string kStop = "0000000000080000";

TEST(Caller, thread_belongs_to_its_process) {
  pid_t thread = 0;
  pid_t process = 0;
  std::thread([&] {
    thread = ::gettid();
    process = process_of(thread);
  }).join();
  EXPECT_NE(::getpid(), thread);
  EXPECT_EQ(::getpid(), process);
}

TEST(Caller, process_is_read_from_status) {
  EXPECT_EQ(42, process_in_status(status(kNone, kNone, kNone, kNone, kNone)));
  EXPECT_EQ(0, process_in_status(""));
}

TEST(Caller, kill_is_fatal_whatever_is_blocked) {
  EXPECT_TRUE(
      fatal_signal_in_status(status(kKill, kNone, kKill, kKill, kKill)));
  EXPECT_TRUE(
      fatal_signal_in_status(status(kNone, kKill, kNone, kNone, kNone)));
}

TEST(Caller, signal_is_fatal_unless_it_is_blocked_ignored_or_handled) {
  EXPECT_TRUE(
      fatal_signal_in_status(status(kNone, kTerm, kNone, kNone, kNone)));
  EXPECT_FALSE(
      fatal_signal_in_status(status(kNone, kTerm, kTerm, kNone, kNone)));
  EXPECT_FALSE(
      fatal_signal_in_status(status(kNone, kTerm, kNone, kTerm, kNone)));
  EXPECT_FALSE(
      fatal_signal_in_status(status(kNone, kTerm, kNone, kNone, kTerm)));
}

TEST(Caller, signals_that_end_nothing_are_harmless) {
  EXPECT_FALSE(
      fatal_signal_in_status(status(kChild, kNone, kNone, kNone, kNone)));
  EXPECT_FALSE(
      fatal_signal_in_status(status(kStop, kNone, kNone, kNone, kNone)));
}

TEST(Caller, living_process_is_not_dying_and_a_missing_one_is) {
  EXPECT_FALSE(is_dying(::gettid()));
  EXPECT_TRUE(is_dying(0));
  EXPECT_TRUE(is_dying(1 << 30));
  EXPECT_FALSE(is_killed(::gettid()));
}

// Fields 3 to 52 of /proc/PID/stat, all zero but two.
std::string stat_text(const std::string& name, unsigned flags,
                      unsigned exit_code) {
  std::string text = "7 (" + name + ") R";
  for (int field = 4; field <= 52; ++field) {
    unsigned value = field == 9 ? flags : field == 52 ? exit_code : 0;
    text += " " + std::to_string(value);
  }
  return text + "\n";
}

TEST(Caller, killed_is_exiting_with_a_signal) {
  EXPECT_TRUE(killed_in_stat(stat_text("cat", 4, 9)));
  EXPECT_TRUE(killed_in_stat(stat_text("a (b) c", 0x400104, 15 | 0x80)));
  EXPECT_FALSE(killed_in_stat(stat_text("cat", 4, 0)));
  EXPECT_FALSE(killed_in_stat(stat_text("cat", 4, 3 << 8)));
  EXPECT_FALSE(killed_in_stat(stat_text("cat", 0, 9)));
  EXPECT_FALSE(killed_in_stat(""));
  EXPECT_FALSE(killed_in_stat("7 (cat) R 1 2"));
}

}  // namespace
}  // namespace snapfs

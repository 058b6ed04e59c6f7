// SPDX-License-Identifier: MIT
//
// The ring of events, and readers that fall behind.
#include "fusefs/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <string>
#include <vector>

#include "fusefs/event_reader.h"

namespace snapfs {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

class Events : public ::testing::Test {
 protected:
  void report(const std::string& text, EventKind kind = EventKind::load) {
    log_.on_event({kind, "dev", text});
  }
  // So many that the oldest have been dropped.
  void overrun() {
    uint64_t end = log_.end() + 3 * EventLog::kStreamBytes;
    while (log_.end() < end) report(std::string(1000, 'x'));
  }
  std::string all_of(EventReader& reader, std::size_t size = 4096) {
    std::string all;
    while (true) {
      std::string part = reader.read(all.size(), size);
      if (part.empty()) return all;
      all += part;
    }
  }
  static long lines(const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
  }

  std::vector<std::string> logged_;
  EventLog log_{[this](bool is_error, const std::string& line) {
    logged_.push_back((is_error ? "error: " : "info: ") + line);
  }};
};

TEST_F(Events, line_has_time_kind_device_and_text) {
  report("16 KiB chunks");
  EXPECT_TRUE(std::regex_match(
      log_.read(0, 4096),
      std::regex("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z load dev "
                 "16 KiB chunks\n")));
}

TEST_F(Events, event_is_one_line_and_has_a_device) {
  log_.on_event({EventKind::error, "", "two\nlines"});
  EXPECT_THAT(log_.read(0, 4096), EndsWith(" error - two lines\n"));
}

TEST_F(Events, each_line_goes_to_the_log) {
  report("good");
  report("bad", EventKind::invalid);
  log_.add_error("f:1:1: a\nb");
  EXPECT_THAT(logged_,
              ElementsAre("info: load dev good", "error: invalid dev bad",
                          "error: f:1:1: a", "error: b"));
}

TEST_F(Events, errors_keep_the_newest_whole_lines) {
  for (int i = 0; i < 5000; ++i) {
    log_.add_error("error number " + std::to_string(i));
  }
  std::string errors = log_.errors();
  EXPECT_LE(errors.size(), EventLog::kErrorBytes);
  EXPECT_GT(errors.size(), EventLog::kErrorBytes / 2);
  EXPECT_EQ(0U, errors.find("error number "));
  EXPECT_THAT(errors, EndsWith("error number 4999\n"));
}

TEST_F(Events, invalid_snapshot_is_an_error_and_a_load_is_not) {
  report("loaded");
  report("lost", EventKind::invalid);
  EXPECT_EQ("dev: lost\n", log_.errors());
}

TEST_F(Events, ring_is_bounded_and_drops_whole_lines) {
  overrun();
  EXPECT_LE(log_.end() - log_.oldest(), EventLog::kStreamBytes);
  EXPECT_THAT(log_.read(log_.oldest(), 100), HasSubstr("Z load dev xxx"));
  EXPECT_EQ("", log_.read(log_.oldest() - 1, 100));
  EXPECT_EQ("", log_.read(log_.end(), 100));
}

TEST_F(Events, subscriber_is_called_after_the_event_can_be_read) {
  uint64_t seen = 0;
  log_.subscribe([&](const Event&) { seen = log_.end(); });
  report("x");
  EXPECT_EQ(log_.end(), seen);
}

TEST_F(Events, reader_gets_the_same_bytes_in_any_pieces) {
  for (int i = 0; i < 20; ++i) report("event " + std::to_string(i));
  std::string whole = log_.read(0, 1 << 20);
  for (std::size_t size : {1U, 7U, 100U, 65536U}) {
    EventReader reader(log_, 0);
    EXPECT_EQ(whole, all_of(reader, size));
    EXPECT_FALSE(reader.has_more());
  }
}

TEST_F(Events, reader_can_seek_back) {
  report("one");
  report("two");
  EventReader reader(log_, 0);
  std::string text = reader.read(0, 4096);
  EXPECT_EQ(text.substr(10), reader.read(10, 4096));
  EXPECT_FALSE(reader.has_more());
}

TEST_F(Events, reader_begins_at_its_base) {
  report("before");
  EventReader reader(log_, log_.end());
  EXPECT_EQ("", reader.read(0, 4096));
  report("after");
  EXPECT_TRUE(reader.has_more());
  EXPECT_TRUE(reader.has_data_at(0));
  EXPECT_THAT(reader.read(0, 4096), EndsWith(" load dev after\n"));
}

TEST_F(Events, reader_that_fell_behind_hears_how_many_it_lost) {
  for (std::size_t size : {1U, 4096U}) {
    uint64_t begin = log_.lines_before(log_.end());
    EventReader reader(log_, log_.end());
    report("read");
    std::string text = reader.read(0, 4096);
    ASSERT_EQ(1, lines(text));
    overrun();
    std::string rest;
    while (true) {
      std::string part = reader.read(text.size() + rest.size(), size);
      if (part.empty()) break;
      rest += part;
    }
    uint64_t lost = log_.lines_before(log_.oldest()) - begin - 1;
    EXPECT_THAT(rest.substr(0, rest.find('\n')),
                EndsWith(" lost - " + std::to_string(lost) + " earlier lines"));
    EXPECT_EQ(log_.read(log_.oldest(), 4 << 20),
              rest.substr(rest.find('\n') + 1));
  }
}

TEST_F(Events, reader_that_is_cut_off_inside_a_line_gets_whole_lines_after) {
  EventReader reader(log_, log_.end());
  report("half");
  std::string half = reader.read(0, 10);
  overrun();
  std::string next = reader.read(10, 4096);
  ASSERT_EQ('\n', next.front());
  EXPECT_THAT(next.substr(1, next.find('\n', 1)), HasSubstr(" lost - "));
}

TEST_F(Events, reader_from_the_beginning_of_the_mount_counts_all_that_is_lost) {
  overrun();
  EventReader reader(log_, 0);
  uint64_t lost = log_.lines_before(log_.oldest());
  EXPECT_THAT(reader.read(0, 4096),
              HasSubstr(" lost - " + std::to_string(lost) + " earlier lines"));
}

}  // namespace
}  // namespace snapfs

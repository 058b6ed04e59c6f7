// SPDX-License-Identifier: MIT
//
// What may be on a device after a cut, case by case.
#include "tests/powercut/medium.h"

#include <gtest/gtest.h>

#include <deque>
#include <set>
#include <string>

#include "core/chunk.h"

namespace snapfs::test {
namespace {

using Kind = JournalEntry::Kind;

// One device of four sectors of '.'; writes are sectors of a letter.
class MediumTest : public testing::Test {
 protected:
  MediumTest() : medium_({of(std::string(4, '.'))}) {}

  static Disk of(const std::string& letters) {
    Disk disk;
    for (char letter : letters) {
      disk.insert(disk.end(), kSectorBytes, static_cast<std::byte>(letter));
    }
    return disk;
  }

  uint64_t begin(Kind kind, uint64_t sector = 0,
                 const std::string& letters = "") {
    JournalEntry entry;
    entry.kind = kind;
    entry.op = next_op_++;
    entry.offset = sector * kSectorBytes;
    entry.bytes = of(letters);
    return add(std::move(entry));
  }
  void answer(uint64_t op) {
    JournalEntry entry;
    entry.kind = Kind::answer;
    entry.op = op;
    add(std::move(entry));
  }
  void do_all(Kind kind, uint64_t sector = 0, const std::string& letters = "") {
    answer(begin(kind, sector, letters));
  }

  // All that may be there, and no image twice.
  std::set<std::string> possible() {
    std::set<std::string> images;
    std::set<uint64_t> hashes;
    const auto units = medium_.units();
    Medium::Choice choice(units.size(), 0);
    for (;;) {
      std::string letters;
      const Disk disk = medium_.disks(units, choice).at(0);
      for (uint64_t at = 0; at < disk.size(); at += kSectorBytes) {
        letters += static_cast<char>(disk[at]);
      }
      EXPECT_EQ(images.insert(letters).second,
                hashes.insert(medium_.hash(units, choice)).second);
      size_t i = 0;
      for (; i < units.size(); ++i) {
        if (++choice[i] <= units[i].versions.size()) break;
        choice[i] = 0;
      }
      if (i == units.size()) return images;
    }
  }

 private:
  uint64_t add(JournalEntry entry) {
    entries_.push_back(std::move(entry));
    medium_.apply(entries_.back());
    return entries_.back().op;
  }

  Medium medium_;
  uint64_t next_op_ = 1;
  std::deque<JournalEntry> entries_;  // the medium points into them
};

using Images = std::set<std::string>;

TEST_F(MediumTest, a_write_may_be_torn_lost_or_there) {
  do_all(Kind::write, 1, "ab");

  EXPECT_EQ(possible(), (Images{"....", ".a..", "..b.", ".ab."}));
}

TEST_F(MediumTest, writes_to_one_sector_may_be_reordered) {
  do_all(Kind::write, 0, "a");
  do_all(Kind::write, 0, "b");

  EXPECT_EQ(possible(), (Images{"....", "a...", "b..."}));
}

TEST_F(MediumTest, a_flush_keeps_what_was_answered_before_it_began) {
  do_all(Kind::write, 0, "a");
  const uint64_t late = begin(Kind::write, 1, "b");
  const uint64_t flush = begin(Kind::flush);
  answer(late);
  answer(flush);

  EXPECT_EQ(possible(), (Images{"a...", "ab.."}));
}

TEST_F(MediumTest, a_flush_that_was_not_answered_keeps_nothing) {
  do_all(Kind::write, 0, "a");
  begin(Kind::flush);

  EXPECT_EQ(possible(), (Images{"....", "a..."}));
}

TEST_F(MediumTest, a_durable_write_keeps_itself_alone) {
  do_all(Kind::write, 0, "ab");
  do_all(Kind::write_durable, 1, "c");

  EXPECT_EQ(possible(), (Images{".c..", "ac.."}));
}

TEST_F(MediumTest, a_durable_write_may_be_torn_until_it_is_answered) {
  begin(Kind::write_durable, 2, "ab");

  EXPECT_EQ(possible(), (Images{"....", "..a.", "...b", "..ab"}));
}

TEST_F(MediumTest, a_write_is_lost_with_the_length_that_it_needs) {
  do_all(Kind::grow, 6);
  do_all(Kind::write, 5, "a");

  const std::string zeroes(2, '\0');
  EXPECT_EQ(possible(),
            (Images{"....", "...." + zeroes, "...." + zeroes.substr(1) + "a"}));
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// What is left of an invalid snapshot: what is trusted is as it was, and what
// is not is listed, no more than that if the mount has seen it happen.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/error.h"
#include "core/salvaged_snapshot.h"
#include "core/snapshot.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kSectors = 1024;
constexpr uint64_t kChunk = 8;  // sectors
constexpr uint64_t kBytes = kSectors * kSectorBytes;
// Header, an area, and so many chunks of data.
constexpr uint64_t kRoom = 8;
constexpr unsigned kOld = 1;
constexpr unsigned kOwn = 2;
constexpr unsigned kNew = 3;

using Ranges = std::vector<ByteRange>;

Ranges sectors(const Ranges& in_sectors) {
  Ranges ranges;
  for (const ByteRange& range : in_sectors) {
    ranges.push_back(
        {range.offset * kSectorBytes, range.length * kSectorBytes});
  }
  return ranges;
}

class SalvageTest : public testing::Test {
 protected:
  SalvageTest() {
    stamp_device(*opener_.add("origin", kBytes), {0, kBytes}, kOld);
    cow_ = opener_.add("s-cow", (2 + kRoom) * kChunk * kSectorBytes);
    open();
  }

  static Table snapshot(StoreType type = StoreType::persistent) {
    return snapshot_table("s", "base", "s-cow", type, kChunk);
  }
  static Table salvage(const std::string& name = "left") {
    Table table =
        snapshot_table(name, "base", "s-cow", StoreType::persistent, 0);
    snapshot_of(table).salvage = true;
    snapshot_of(table).read_only = true;
    return table;
  }

  void open(StoreType type = StoreType::persistent) {
    set_.reset();
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    set_->load({origin_table("base", "origin"), snapshot(type)});
  }

  void write(const std::string& name, uint64_t first, uint64_t count,
             unsigned generation) {
    target(name)->write(first * kSectorBytes,
                        stamped(first, count, generation));
  }

  // The first kRoom chunks of the origin are saved, and then it is full.
  void fill() {
    for (uint64_t i = 0; i < kRoom; ++i)
      write("base", i * kChunk, kChunk, kNew);
  }
  void make_invalid() {
    fill();
    write("base", 100 * kChunk, kChunk, kNew);
    ASSERT_NE(target("s")->status_line().find("Invalid"), std::string::npos);
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_->find(name)->live();
  }
  Ranges untrusted(const std::string& name = "left") {
    return std::dynamic_pointer_cast<SalvagedSnapshot>(target(name))
        ->untrusted();
  }
  std::vector<std::byte> content(const std::string& name) {
    std::vector<std::byte> data(target(name)->size());
    target(name)->read(0, data);
    return data;
  }
  std::string differs(uint64_t first, uint64_t count, unsigned generation) {
    std::vector<std::byte> data(count * kSectorBytes);
    target("left")->read(first * kSectorBytes, data);
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
  void says(const std::string& words) {
    EXPECT_NE(refusal_.find(words), std::string::npos) << refusal_;
  }

  MemoryOpener opener_;
  EventRecorder events_;
  std::shared_ptr<MemoryDevice> cow_;
  std::unique_ptr<DeviceSet> set_;
  std::string refusal_;
};

// --- What it shows -----------------------------------------------------------

TEST_F(SalvageTest, what_has_a_record_is_shown_as_it_was) {
  make_invalid();

  set_->load({salvage()});

  EXPECT_EQ(differs(0, kRoom * kChunk, kOld), "");
  EXPECT_EQ(differs(40 * kChunk, kChunk, kOld), "");
}

TEST_F(SalvageTest, only_what_was_written_since_is_not_trusted) {
  make_invalid();
  write("base", 3, 1, kNew);    // has a record
  write("base", 900, 3, kNew);  // less than a chunk
  write("base", 100 * kChunk + 4, kChunk, kNew);

  set_->load({salvage()});

  EXPECT_EQ(untrusted(), sectors({{100 * kChunk, kChunk + 4}, {900, 3}}));
  EXPECT_EQ(differs(903, 100, kOld), "");
}

TEST_F(SalvageTest, writes_to_the_origin_are_followed) {
  make_invalid();
  set_->load({salvage()});

  write("base", 500, 2, kNew);
  target("base")->zero({502 * kSectorBytes, 2 * kSectorBytes});

  EXPECT_EQ(untrusted(), sectors({{500, 4}, {100 * kChunk, kChunk}}));
  EXPECT_EQ(differs(500, 2, kNew), "");
}

TEST_F(SalvageTest, they_are_followed_when_the_snapshot_has_been_removed) {
  make_invalid();
  set_->load({salvage()});

  set_->remove("s");
  write("base", 500, 2, kNew);

  EXPECT_EQ(untrusted(), sectors({{500, 2}, {100 * kChunk, kChunk}}));
}

TEST_F(SalvageTest, they_are_followed_through_a_handover) {
  make_invalid();
  Table other = snapshot();
  other.name = "t";
  set_->load({other});
  set_->suspend("s");

  write("base", 500, 2, kNew);
  set_->load({salvage()});

  EXPECT_EQ(untrusted(), sectors({{500, 2}, {100 * kChunk, kChunk}}));
}

TEST_F(SalvageTest, what_a_merge_brings_back_is_not_trusted) {
  opener_.add("t-cow", kBytes * 2);
  set_->load(
      {snapshot_table("t", "base", "t-cow", StoreType::persistent, kChunk)});
  write("t", 600, kChunk, kOwn);
  make_invalid();
  set_->load({salvage()});

  set_->load({merge_table("base", "origin", "t-cow")});
  set_->suspend("t");
  while (set_->merge_step("base") != 0) {
  }

  const Ranges ranges = untrusted();
  EXPECT_NE(
      std::find(ranges.begin(), ranges.end(), sectors({{600, kChunk}}).front()),
      ranges.end());
}

TEST_F(SalvageTest, own_writes_of_the_snapshot_with_a_record_are_trusted) {
  write("s", 800, kChunk, kOwn);
  target("s")->flush();
  make_invalid();
  write("base", 800, kChunk, kNew);

  set_->load({salvage()});

  EXPECT_EQ(differs(800, kChunk, kOwn), "");
  for (const ByteRange& range : untrusted()) {
    EXPECT_FALSE(range.overlaps({800 * kSectorBytes, kChunk * kSectorBytes}));
  }
}

TEST_F(SalvageTest, own_writes_without_a_record_are_not) {
  fill();
  set_->remove("s");
  // There is room for one more, which nobody makes durable.
  cow_->set_size(cow_->size() + kChunk * kSectorBytes);
  Table again = snapshot();
  snapshot_of(again).cow.accept_stale = true;
  set_->load({again});
  write("s", 880, kChunk, kOwn);
  write("base", 100 * kChunk, kChunk, kNew);

  set_->load({salvage()});

  EXPECT_EQ(untrusted(), sectors({{100 * kChunk, kChunk}, {880, kChunk}}));
  EXPECT_EQ(differs(872, kChunk, kOld), "");
}

TEST_F(SalvageTest,
       without_having_seen_it_nothing_without_a_record_is_trusted) {
  make_invalid();

  open();
  set_->load({salvage()});

  EXPECT_EQ(untrusted(),
            sectors({{kRoom * kChunk, kSectors - kRoom * kChunk}}));
  EXPECT_EQ(differs(0, kRoom * kChunk, kOld), "");
  EXPECT_NE(target("left")->details().find("origin_writes: unknown"),
            std::string::npos);
}

TEST_F(SalvageTest, it_needs_no_snapshot) {
  make_invalid();

  set_.reset();
  set_ = std::make_unique<DeviceSet>(opener_, events_);
  Table table = salvage();
  snapshot_of(table).origin = snapshot_of(table).origin_path = "origin";
  set_->load({table});

  EXPECT_EQ(untrusted(),
            sectors({{kRoom * kChunk, kSectors - kRoom * kChunk}}));
  EXPECT_EQ(differs(0, kRoom * kChunk, kOld), "");
}

TEST_F(SalvageTest, both_load_in_one_transaction_of_a_later_mount) {
  make_invalid();

  set_.reset();
  set_ = std::make_unique<DeviceSet>(opener_, events_);
  set_->load({salvage(), snapshot(), origin_table("base", "origin")});

  EXPECT_EQ(differs(0, kRoom * kChunk, kOld), "");
  EXPECT_THROW(content("s"), std::system_error);
}

TEST_F(SalvageTest, a_snapshot_whose_header_could_not_be_marked_is_shown) {
  make_invalid();
  std::vector<std::byte> header(kSectorBytes);
  cow_->read(0, header);
  header[4] = std::byte{1};
  cow_->write(0, header);

  set_->load({salvage()});

  EXPECT_EQ(untrusted(), sectors({{100 * kChunk, kChunk}}));
}

TEST_F(SalvageTest, a_shorter_snapshot_stays_as_long_as_it_was) {
  set_->remove("s");
  Table shorter = snapshot();
  snapshot_of(shorter).length_sectors = 900;
  set_->load({shorter});
  make_invalid();
  write("base", 890, 20, kNew);

  set_->load({salvage()});

  EXPECT_EQ(target("left")->size(), 900 * kSectorBytes);
  EXPECT_EQ(untrusted(), sectors({{100 * kChunk, kChunk}, {890, 10}}));
}

// Random writes to both, some of them durable, until the store is full, and
// more to the origin: all that is not listed is as it was.
TEST_F(SalvageTest, random_histories_are_told_right) {
  const char* given = std::getenv("SNAPFS_SEED");
  const uint64_t first = given != nullptr ? std::stoull(given) : 1;
  for (uint64_t seed = first; seed < first + 40; ++seed) {
    SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto below = [&](uint64_t limit) { return random() % limit; };
    stamp_device(*opener_.add("origin", kBytes), {0, kBytes}, kOld);
    cow_ = opener_.add("s-cow", (2 + 8 + below(60)) * kChunk * kSectorBytes);
    open();
    auto is_invalid = [&] {
      return target("s")->status_line().find("Invalid") != std::string::npos;
    };
    std::vector<std::byte> old(kBytes);
    ByteRange unsure;
    unsigned after = 20;
    for (unsigned generation = kNew; after != 0; ++generation) {
      const uint64_t sector = below(kSectors);
      const uint64_t count =
          1 + below(std::min<uint64_t>(40, kSectors - sector));
      if (is_invalid()) {
        write("base", sector, count, generation);
        --after;
        continue;
      }
      const uint64_t kind = below(4);
      old = content("s");
      if (kind == 0) {
        target("s")->flush();
      } else if (kind == 1) {
        // What fails to be written may be there in part.
        try {
          write("s", sector, count, generation);
        } catch (const std::system_error&) {
          unsure = {sector * kSectorBytes, count * kSectorBytes};
        }
      } else {
        write("base", sector, count, generation);
      }
    }

    set_->load({salvage()});

    const std::vector<std::byte> now = content("left");
    const Ranges listed = untrusted();
    auto is_listed = [&](uint64_t sector) {
      return std::any_of(listed.begin(), listed.end(), [&](ByteRange range) {
        return range.overlaps({sector * kSectorBytes, kSectorBytes});
      });
    };
    for (uint64_t sector = 0; sector < kSectors; ++sector) {
      const auto is = std::span(now).subspan(sector * kSectorBytes, 512);
      const auto was = std::span(old).subspan(sector * kSectorBytes, 512);
      const ByteRange range{sector * kSectorBytes, kSectorBytes};
      if (is_listed(sector) || range.overlaps(unsure)) continue;
      ASSERT_TRUE(std::ranges::equal(is, was))
          << "sector " << sector << " was " << describe_sector(was) << ", is "
          << describe_sector(is);
    }
  }
}

// --- It only reads -----------------------------------------------------------

TEST_F(SalvageTest, it_is_read_only_and_the_cow_stays_as_it_is) {
  make_invalid();
  const std::vector<std::byte> before = cow_->content();

  set_->load({salvage()});
  content("left");
  EXPECT_TRUE(target("left")->read_only());
  EXPECT_THROW(write("left", 0, 1, kNew), std::system_error);
  EXPECT_THROW(target("left")->zero({0, 512}), std::system_error);
  EXPECT_THROW(target("left")->discard({0, 512}), std::system_error);
  target("left")->flush();
  set_->suspend("left");
  set_->resume("left");
  write("base", 0, kSectors, kNew);
  set_->remove("left");
  set_.reset();

  EXPECT_EQ(cow_->content(), before);
}

// --- What is refused ---------------------------------------------------------

TEST_F(SalvageTest, a_valid_snapshot_is_refused) {
  EXPECT_EQ(refused(salvage()), EBUSY);
  says("is in use by s, which is valid");

  set_->remove("s");
  EXPECT_EQ(refused(salvage()), EINVAL);
  says("holds a snapshot that is valid");
}

TEST_F(SalvageTest, what_holds_no_records_is_refused) {
  set_->remove("s");
  opener_.add("s-cow", kBytes);
  EXPECT_EQ(refused(salvage()), EINVAL);
  says("holds no store");

  set_->load({snapshot(StoreType::transient)});
  for (uint64_t i = 0; i < kSectors / kChunk; ++i)
    write("base", i * kChunk, kChunk, kNew);
  cow_ = opener_.add("s-cow", 4 * kChunk * kSectorBytes);
  open(StoreType::transient);
  write("base", 0, kSectors, kNew);
  ASSERT_NE(target("s")->status_line().find("Invalid"), std::string::npos);
  EXPECT_EQ(refused(salvage()), EINVAL);
  says("the store of s is transient");
}

TEST_F(SalvageTest, a_cow_that_is_being_salvaged_is_nobodys) {
  make_invalid();
  set_->load({salvage()});
  set_->remove("s");

  EXPECT_EQ(refused(snapshot()), EBUSY);
  says("in use by left, which salvages it");
  EXPECT_EQ(refused(origin_table("other", "s-cow")), EBUSY);
  says("is being read by left");
  EXPECT_EQ(refused(salvage("again")), 0);
  EXPECT_EQ(refused(salvage()), EBUSY);
  says("left is live; remove it first");

  set_->remove("left");
  set_->remove("again");
  EXPECT_EQ(refused(snapshot()), 0);
}

TEST_F(SalvageTest, a_snapshot_of_another_origin_is_refused) {
  make_invalid();
  opener_.add("other", kBytes);
  Table table = salvage();
  snapshot_of(table).origin = snapshot_of(table).origin_path = "other";

  EXPECT_EQ(refused(table), EINVAL);
  says("belongs to a snapshot of another origin");
}

TEST_F(SalvageTest, a_broken_record_is_named) {
  make_invalid();
  std::vector<std::byte> area(kSectorBytes);
  cow_->read(kChunk * kSectorBytes, area);
  area[2] = std::byte{0xff};  // the old chunk of the first record
  cow_->write(kChunk * kSectorBytes, area);

  EXPECT_EQ(refused(salvage()), EINVAL);
  says("record 0 ");
}

}  // namespace
}  // namespace snapfs::test

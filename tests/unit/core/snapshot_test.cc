// SPDX-License-Identifier: MIT
//
// Snapshots and their origin, as requests on bytes: what each view shows, what
// goes to which device and in which order, and what happens when something
// fails or is full.
#include "core/snapshot.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/disk_format.h"
#include "core/error.h"
#include "tests/support/eventually.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"
#include "tests/support/test_threads.h"
#include "tests/unit/core/layers.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kOriginSectors = 2048;
constexpr unsigned kOld = 1;  // generation of the origin at first
constexpr unsigned kNew = 2;
constexpr unsigned kOwn = 3;

// The errno of what `call` throws; 0 if it does not.
template <typename Call>
int error_of(const Call& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return errno_of(error);
  }
  return 0;
}

struct SnapshotOptions {
  StoreType type = StoreType::persistent;
  uint64_t chunk_sectors = 8;
  uint64_t cow_sectors = 2 * kOriginSectors;
  std::optional<uint64_t> length_sectors = {};
  bool discard_zeroes = false;
  bool passdown = false;
};

// An origin `base` of stamped sectors, and snapshots of it.
class SnapshotTest : public testing::Test {
 protected:
  explicit SnapshotTest(uint64_t origin_sectors = kOriginSectors)
      : origin_("origin", origin_sectors, recording_) {
    stamp_device(*origin_.memory, {0, origin_sectors * kSectorBytes}, kOld);
    opener_.add("origin", origin_.counting);
    set_.load({origin_table("base", "origin")});
  }

  ~SnapshotTest() override {
    origin_.counting->release();
    for (auto& [name, cow] : cows_) cow.counting->release();
  }

  void add(const std::string& name, const SnapshotOptions& options = {}) {
    std::string cow = name + "-cow";
    auto added =
        cows_.emplace(name, Layers(cow, options.cow_sectors, recording_));
    opener_.add(cow, added.first->second.counting);
    Table table =
        snapshot_table(name, "base", cow, options.type, options.chunk_sectors);
    SnapshotTable& target = snapshot_of(table);
    target.commit_interval = std::chrono::hours(1);
    target.length_sectors = options.length_sectors;
    target.discard_zeroes_cow = options.discard_zeroes;
    target.discard_passdown_origin = options.passdown;
    if (options.passdown) {
      target.origin = "origin";
      target.origin_path = "origin";
    }
    set_.load({table});
    reset();
  }

  void reset() {
    recording_->clear();
    origin_.counting->reset_counts();
    for (auto& [name, cow] : cows_) cow.counting->reset_counts();
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_.find(name)->live();
  }
  Layers& cow(const std::string& name) { return cows_.at(name); }

  void write(const std::string& name, uint64_t first, uint64_t count,
             unsigned generation) {
    target(name)->write(first * kSectorBytes,
                        stamped(first, count, generation));
  }

  int write_error(const std::string& name, uint64_t first, uint64_t count,
                  unsigned generation) {
    return error_of([&] { write(name, first, count, generation); });
  }

  std::vector<std::byte> read(const std::string& name, ByteRange range) {
    std::vector<std::byte> data(range.length);
    target(name)->read(range.offset, data);
    return data;
  }

  int read_error(const std::string& name, ByteRange range) {
    return error_of([&] { read(name, range); });
  }

  // Empty, or the first sector that is not of that generation.
  std::string differs(const std::string& name, uint64_t first, uint64_t count,
                      unsigned generation) {
    return stamp_difference(read(name, sectors(first, count)), first,
                            generation);
  }

  bool reads_as_zeroes(const std::string& name, ByteRange range) {
    return read(name, range) == std::vector<std::byte>(range.length);
  }

  std::string status(const std::string& name) {
    std::string line = target(name)->status_line();
    return line.substr(line.find("snapshot ") + 9);
  }

  uint32_t header_valid(const std::string& name) {
    return unpack_header(read_range(*cow(name).memory, {0, kHeaderBytes}))
        .valid;
  }

  std::vector<std::string> recorded() { return in_words(*recording_); }

  const std::atomic<bool>& in_a_thread(std::function<void()> function) {
    return threads_.start(std::move(function));
  }

  std::shared_ptr<Recording> recording_ = std::make_shared<Recording>();
  MemoryOpener opener_;
  EventRecorder events_;
  Layers origin_;
  std::map<std::string, Layers> cows_;
  DeviceSet set_{opener_, events_};
  TestThreads threads_;  // last: joined while everything above exists
};

// --- Views -------------------------------------------------------------------

TEST_F(SnapshotTest, what_has_no_exception_is_read_from_the_origin) {
  add("s");

  EXPECT_EQ(differs("s", 0, kOriginSectors, kOld), "");

  EXPECT_EQ(cow("s").counting->counts().reads, 0u);
}

TEST_F(SnapshotTest, an_origin_write_keeps_the_snapshots_view) {
  add("s");

  write("base", 100, 50, kNew);

  EXPECT_EQ(differs("base", 100, 50, kNew), "");
  EXPECT_EQ(differs("base", 0, 100, kOld), "");
  EXPECT_EQ(differs("s", 0, kOriginSectors, kOld), "");
}

TEST_F(SnapshotTest, a_second_origin_write_keeps_the_first_view) {
  add("s");
  write("base", 100, 50, kNew);

  write("base", 90, 100, kOwn);

  EXPECT_EQ(differs("s", 0, kOriginSectors, kOld), "");
}

TEST_F(SnapshotTest, a_snapshot_write_does_not_reach_the_origin) {
  add("s");

  write("s", 100, 50, kOwn);

  EXPECT_EQ(differs("base", 0, kOriginSectors, kOld), "");
  EXPECT_EQ(origin_.counting->counts().writes, 0u);
}

TEST_F(SnapshotTest, a_write_of_part_of_a_chunk_keeps_the_rest) {
  add("s", {.chunk_sectors = 32});

  write("s", 100, 1, kOwn);
  write("s", 131, 2, kOwn);

  EXPECT_EQ(differs("s", 100, 1, kOwn), "");
  EXPECT_EQ(differs("s", 131, 2, kOwn), "");
  EXPECT_EQ(differs("s", 0, 100, kOld), "");
  EXPECT_EQ(differs("s", 101, 30, kOld), "");
  EXPECT_EQ(differs("s", 133, kOriginSectors - 133, kOld), "");
}

TEST_F(SnapshotTest, a_write_of_a_whole_chunk_does_not_read_the_origin) {
  add("s");

  write("s", 16, 8, kOwn);
  write("s", 64, 80, kOwn);

  EXPECT_EQ(origin_.counting->counts().reads, 0u);
  EXPECT_EQ(differs("s", 16, 8, kOwn), "");
  EXPECT_EQ(differs("s", 64, 80, kOwn), "");
}

TEST_F(SnapshotTest, a_write_may_begin_and_end_at_any_byte) {
  add("s", {.chunk_sectors = 4});
  add("t", {.chunk_sectors = 16});
  std::vector<std::byte> expected = read("s", sectors(0, 64));
  const std::vector<std::byte> before = expected;
  const ByteRange ranges[] = {{0, 1},     {511, 2},      {2047, 2},
                              {3000, 7},  {4097, 12289}, {16384, 2048},
                              {20000, 1}, {2000, 9000},  {32767, 1}};

  for (ByteRange range : ranges) {
    std::vector<std::byte> data(range.length, std::byte{0xab});
    std::copy(data.begin(), data.end(),
              expected.begin() + static_cast<std::ptrdiff_t>(range.offset));
    target("s")->write(range.offset, data);
    ASSERT_EQ(read("s", sectors(0, 64)), expected) << range.offset;
  }
  EXPECT_EQ(read("base", sectors(0, 64)), before);

  for (ByteRange range : ranges) {
    std::vector<std::byte> data(range.length, std::byte{0xcd});
    target("base")->write(range.offset, data);
    ASSERT_EQ(read("s", sectors(0, 64)), expected) << range.offset;
    ASSERT_EQ(read("t", sectors(0, 64)), before) << range.offset;
  }
}

TEST_F(SnapshotTest, a_read_may_begin_and_end_at_any_byte) {
  add("s");
  write("s", 12, 9, kOwn);
  write("base", 30, 9, kNew);
  std::vector<std::byte> all = read("s", sectors(0, 64));

  for (ByteRange range :
       {ByteRange{0, 1}, {4095, 2}, {6143, 9000}, {1, 32766}}) {
    auto begin = all.begin() + static_cast<std::ptrdiff_t>(range.offset);
    EXPECT_EQ(read("s", range),
              std::vector<std::byte>(
                  begin, begin + static_cast<std::ptrdiff_t>(range.length)))
        << range.offset;
  }
}

TEST_F(SnapshotTest, a_write_over_excepted_and_fresh_chunks_is_one) {
  add("s");
  write("s", 16, 8, kOwn);
  write("base", 40, 8, kNew);
  reset();

  write("s", 5, 60, 7);

  EXPECT_EQ(differs("s", 5, 60, 7), "");
  EXPECT_EQ(differs("s", 0, 5, kOld), "");
  EXPECT_EQ(differs("s", 65, 100, kOld), "");
  EXPECT_EQ(differs("base", 0, 40, kOld), "");
  // Chunks 0 to 8, of which 2 and 5 were there.
  EXPECT_EQ(status("s"), "88/4096 16");
}

TEST_F(SnapshotTest, an_excepted_chunk_is_written_in_place) {
  add("s");
  write("s", 16, 8, kOwn);
  std::string before = status("s");

  write("s", 17, 3, 7);

  EXPECT_EQ(status("s"), before);
  EXPECT_EQ(differs("s", 17, 3, 7), "");
  EXPECT_EQ(differs("s", 20, 4, kOwn), "");
}

TEST_F(SnapshotTest, what_a_snapshot_wrote_survives_origin_writes) {
  add("s");
  write("s", 18, 2, kOwn);

  write("base", 0, 64, kNew);

  EXPECT_EQ(differs("s", 18, 2, kOwn), "");
  EXPECT_EQ(differs("s", 0, 18, kOld), "");
  EXPECT_EQ(differs("s", 20, 44, kOld), "");
}

// --- Origin writes, several snapshots ----------------------------------------

TEST_F(SnapshotTest, snapshots_of_different_chunks_copy_largest_first) {
  add("small", {.chunk_sectors = 8});
  add("large", {.chunk_sectors = 64, .cow_sectors = 8192});

  write("base", 0, 1, kNew);

  EXPECT_EQ(status("small"), "24/4096 16");
  EXPECT_EQ(status("large"), "192/8192 128");
  EXPECT_EQ(differs("small", 0, 128, kOld), "");
  EXPECT_EQ(differs("large", 0, 128, kOld), "");
  std::vector<std::string> copies;
  for (const std::string& op : recorded()) {
    if (op.rfind("write ", 0) == 0) copies.push_back(op);
  }
  EXPECT_EQ(copies, (std::vector<std::string>{
                        "write large-cow 65536+32768",
                        "write small-cow 8192+4096",
                        "write origin 0+512",
                    }));
}

TEST_F(SnapshotTest, an_origin_write_over_four_chunks_makes_four_exceptions) {
  add("s");

  write("base", 8, 32, kNew);

  EXPECT_EQ(status("s"), "48/4096 16");
}

TEST_F(SnapshotTest, an_origin_write_copies_what_is_not_excepted_yet) {
  add("s");
  write("base", 16, 8, kNew);
  write("s", 32, 8, kOwn);
  reset();

  write("base", 8, 40, 4);

  EXPECT_EQ(status("s"), "56/4096 16");
  EXPECT_EQ(origin_.counting->counts().read_bytes, 3 * 4096u);
  EXPECT_EQ(differs("s", 0, 32, kOld), "");
  EXPECT_EQ(differs("s", 32, 8, kOwn), "");
  EXPECT_EQ(differs("s", 40, 100, kOld), "");
}

TEST_F(SnapshotTest, an_origin_write_beyond_a_snapshot_makes_no_exception) {
  add("s", {.length_sectors = 100});

  write("base", 100, 200, kNew);

  EXPECT_EQ(status("s"), "16/4096 16");
}

TEST_F(SnapshotTest, an_origin_write_across_a_snapshots_end_copies_its_part) {
  add("s", {.length_sectors = 100});

  write("base", 90, 200, kNew);

  // Chunks 11 and 12, of which sectors 88 to 99 are the snapshot's.
  EXPECT_EQ(status("s"), "32/4096 16");
  EXPECT_EQ(differs("s", 0, 100, kOld), "");
}

TEST_F(SnapshotTest, the_last_chunk_of_a_short_snapshot_is_written) {
  add("s", {.length_sectors = 100});

  write("s", 98, 2, kOwn);

  EXPECT_EQ(differs("s", 98, 2, kOwn), "");
  EXPECT_EQ(differs("s", 96, 2, kOld), "");
}

class PartialChunk : public SnapshotTest {
 protected:
  PartialChunk() : SnapshotTest(100) {}  // the last chunk has 4 of 32 sectors
};

TEST_F(PartialChunk, it_is_copied_out_as_far_as_the_origin_goes) {
  add("s", {.chunk_sectors = 32});

  write("base", 97, 3, kNew);

  EXPECT_EQ(origin_.counting->counts().read_bytes, 4 * kSectorBytes);
  EXPECT_EQ(differs("s", 0, 100, kOld), "");
}

TEST_F(PartialChunk, all_of_it_can_be_written) {
  add("s", {.chunk_sectors = 32});

  write("s", 96, 4, kOwn);

  EXPECT_EQ(origin_.counting->counts().reads, 0u);
  EXPECT_EQ(differs("s", 96, 4, kOwn), "");
  EXPECT_EQ(differs("s", 0, 96, kOld), "");
}

TEST_F(PartialChunk, part_of_it_can_be_written) {
  add("s", {.chunk_sectors = 32});

  write("s", 99, 1, kOwn);

  EXPECT_EQ(differs("s", 96, 3, kOld), "");
  EXPECT_EQ(differs("s", 99, 1, kOwn), "");
}

TEST_F(PartialChunk, it_can_be_zeroed) {
  add("s", {.chunk_sectors = 32});

  target("s")->zero(sectors(90, 10));

  EXPECT_TRUE(reads_as_zeroes("s", sectors(90, 10)));
  EXPECT_EQ(differs("s", 0, 90, kOld), "");
}

TEST_F(SnapshotTest, a_chunk_larger_than_the_origin_is_copied) {
  add("s", {.chunk_sectors = 8192, .cow_sectors = 4 * 8192});

  write("base", 1000, 3, kNew);
  write("s", 10, 3, kOwn);

  EXPECT_EQ(differs("s", 0, 10, kOld), "");
  EXPECT_EQ(differs("s", 10, 3, kOwn), "");
  EXPECT_EQ(differs("s", 13, kOriginSectors - 13, kOld), "");
  EXPECT_EQ(status("s"), "24576/32768 16384");
}

// --- Order -------------------------------------------------------------------

TEST_F(SnapshotTest, the_origin_is_written_when_the_old_data_is_durable) {
  add("s");

  write("base", 16, 8, kNew);

  EXPECT_EQ(recorded(), (std::vector<std::string>{
                            "write s-cow 8192+4096",
                            "flush s-cow",
                            "write_durable s-cow 4096+4096",
                            "write origin 8192+4096",
                        }));
}

TEST_F(SnapshotTest,
       the_origin_is_written_when_a_snapshots_own_data_is_durable) {
  add("s");
  write("s", 16, 8, kOwn);
  reset();

  write("base", 16, 8, kNew);

  EXPECT_EQ(recorded(), (std::vector<std::string>{
                            "flush s-cow",
                            "write_durable s-cow 4096+4096",
                            "write origin 8192+4096",
                        }));
}

TEST_F(SnapshotTest, a_write_to_a_durable_exception_waits_for_nothing) {
  add("s");
  write("s", 16, 8, kOwn);
  target("s")->flush();
  write("s", 64, 8, kOwn);  // of other chunks
  reset();

  write("base", 16, 8, kNew);

  EXPECT_EQ(recorded(), (std::vector<std::string>{"write origin 8192+4096"}));
}

TEST_F(SnapshotTest, the_invalid_header_is_durable_before_the_origin_changes) {
  add("s", {.cow_sectors = 16});

  write("base", 16, 8, kNew);

  EXPECT_EQ(recorded(), (std::vector<std::string>{
                            "write_durable s-cow 0+512",
                            "write origin 8192+4096",
                        }));
  EXPECT_EQ(header_valid("s"), 0u);
}

TEST_F(SnapshotTest, an_origin_write_waits_for_an_invalid_header_under_way) {
  add("s", {.cow_sectors = 16});
  cow("s").counting->hold(kWriteDurable);
  in_a_thread([this] { write_error("s", 0, 8, kOwn); });
  cow("s").counting->wait_until_held(kWriteDurable, 1);

  const std::atomic<bool>& done =
      in_a_thread([this] { write("base", 16, 8, kNew); });
  give_others_time();
  EXPECT_FALSE(done);
  EXPECT_EQ(origin_.counting->counts().writes, 0u);

  cow("s").counting->release();
  eventually([&] { return done.load(); });
  EXPECT_EQ(differs("base", 16, 8, kNew), "");
}

// --- Readers and writers at the same time ------------------------------------

TEST_F(SnapshotTest, a_snapshot_read_in_flight_holds_the_overwrite) {
  add("s");
  origin_.counting->hold(kRead);
  in_a_thread([this] { EXPECT_EQ(differs("s", 16, 8, kOld), ""); });
  origin_.counting->wait_until_held(kRead, 1);
  in_a_thread([this] { write("base", 16, 8, kNew); });
  // The copy of the old data, which waits behind the reader.
  origin_.counting->wait_until_held(kRead, 2);
  EXPECT_EQ(origin_.counting->counts().writes, 0u);

  origin_.counting->release(kRead);
  threads_.join();
}

TEST_F(SnapshotTest, the_overwrite_waits_for_the_reader_alone) {
  add("s");
  write("s", 0, 8, kOwn);
  target("s")->flush();
  // A read of an excepted and a fresh chunk; only the fresh one needs the
  // origin, whose chunk 0 needs no copy any more.
  origin_.counting->hold(kRead);
  in_a_thread([this] {
    const std::vector<std::byte> seen = read("s", sectors(0, 16));
    EXPECT_EQ(stamp_difference({seen.data(), 4096}, 0, kOwn), "");
    EXPECT_EQ(stamp_difference({seen.data() + 4096, 4096}, 8, kOld), "");
  });
  origin_.counting->wait_until_held(kRead, 1);
  const std::atomic<bool>& written =
      in_a_thread([this] { write("base", 0, 8, kNew); });
  give_others_time();
  EXPECT_FALSE(written);

  origin_.counting->release(kRead);
  threads_.join();
}

TEST_F(SnapshotTest, reads_during_the_overwrite_come_from_the_cow) {
  add("s");
  origin_.counting->hold(kWrite);
  in_a_thread([this] { write("base", 16, 8, kNew); });
  origin_.counting->wait_until_held(kWrite, 1);
  reset();

  EXPECT_EQ(differs("s", 16, 8, kOld), "");

  EXPECT_EQ(origin_.counting->counts().reads, 0u);
}

TEST_F(SnapshotTest,
       an_origin_write_waits_for_the_chunks_first_snapshot_write) {
  add("s", {.chunk_sectors = 32});
  origin_.counting->hold(kRead);  // of the sectors around it
  in_a_thread([this] { write("s", 33, 2, kOwn); });
  origin_.counting->wait_until_held(kRead, 1);
  in_a_thread([this] { write("base", 40, 8, kNew); });
  give_others_time();
  EXPECT_EQ(origin_.counting->counts().writes, 0u);

  origin_.counting->release(kRead);
  threads_.join();

  EXPECT_EQ(differs("s", 33, 2, kOwn), "");
  EXPECT_EQ(differs("s", 35, 29, kOld), "");
  EXPECT_EQ(status("s"), "96/4096 64");
}

TEST_F(SnapshotTest, two_first_writes_to_one_chunk_make_one_exception) {
  add("s", {.chunk_sectors = 32});
  origin_.counting->hold(kRead);
  in_a_thread([this] { write("s", 33, 2, kOwn); });
  origin_.counting->wait_until_held(kRead, 1);
  in_a_thread([this] { write("s", 50, 2, kOwn); });
  give_others_time();

  origin_.counting->release(kRead);
  threads_.join();

  EXPECT_EQ(differs("s", 33, 2, kOwn), "");
  EXPECT_EQ(differs("s", 50, 2, kOwn), "");
  EXPECT_EQ(differs("s", 35, 15, kOld), "");
  EXPECT_EQ(status("s"), "96/4096 64");
}

TEST_F(SnapshotTest, writers_of_other_chunks_do_not_wait) {
  add("s");
  origin_.counting->hold(kRead);
  in_a_thread([this] { write("s", 33, 2, kOwn); });
  origin_.counting->wait_until_held(kRead, 1);

  write("s", 64, 8, kOwn);

  EXPECT_EQ(differs("s", 64, 8, kOwn), "");
}

// --- Full --------------------------------------------------------------------

TEST_F(SnapshotTest, a_full_p_store_makes_the_snapshot_invalid) {
  add("s", {.cow_sectors = 24});
  write("s", 0, 8, kOwn);
  EXPECT_EQ(status("s"), "24/24 16");

  EXPECT_EQ(write_error("s", 8, 8, kOwn), EIO);

  EXPECT_EQ(status("s"), "Invalid");
  EXPECT_EQ(header_valid("s"), 0u);
  EXPECT_EQ(events_.count(EventKind::invalid), 1u);
  EXPECT_NE(target("s")->details().find("Unable to allocate exception"),
            std::string::npos);
}

TEST_F(SnapshotTest, a_full_po_store_overflows) {
  add("s", {.type = StoreType::persistent_overflow, .cow_sectors = 24});
  write("s", 0, 8, kOwn);

  EXPECT_EQ(write_error("s", 8, 8, kOwn), EIO);

  EXPECT_EQ(status("s"), "Overflow");
  EXPECT_EQ(header_valid("s"), 1u);
  EXPECT_EQ(differs("s", 0, 8, kOwn), "");
  EXPECT_EQ(differs("s", 8, 100, kOld), "");
  EXPECT_EQ(write_error("s", 0, 8, kOwn), EIO) << "of an excepted chunk";
  EXPECT_EQ(error_of([&] { target("s")->zero(sectors(0, 8)); }), EIO);
  EXPECT_EQ(error_of([&] { target("s")->flush(); }), 0);
  EXPECT_EQ(events_.count(EventKind::overflow), 1u);
}

TEST_F(SnapshotTest, an_overflowed_snapshot_takes_origin_writes_it_has) {
  add("s", {.type = StoreType::persistent_overflow, .cow_sectors = 24});
  write("s", 0, 8, kOwn);
  ASSERT_EQ(write_error("s", 8, 8, kOwn), EIO);

  write("base", 0, 8, kNew);

  EXPECT_EQ(status("s"), "Overflow");
  EXPECT_EQ(differs("s", 0, 8, kOwn), "");
}

TEST_F(SnapshotTest, an_overflowed_snapshot_without_room_becomes_invalid) {
  add("s", {.type = StoreType::persistent_overflow, .cow_sectors = 24});
  write("s", 0, 8, kOwn);
  ASSERT_EQ(write_error("s", 8, 8, kOwn), EIO);

  write("base", 16, 8, kNew);

  EXPECT_EQ(status("s"), "Invalid");
  EXPECT_EQ(header_valid("s"), 0u);
  EXPECT_EQ(differs("base", 16, 8, kNew), "");
}

TEST_F(SnapshotTest, an_overflowed_snapshot_takes_copies_when_it_has_grown) {
  add("s", {.type = StoreType::persistent_overflow, .cow_sectors = 24});
  write("s", 0, 8, kOwn);
  ASSERT_EQ(write_error("s", 8, 8, kOwn), EIO);
  cow("s").memory->set_size(64 * kSectorBytes);

  write("base", 16, 8, kNew);

  EXPECT_EQ(status("s"), "Overflow");
  EXPECT_EQ(differs("s", 16, 8, kOld), "");
  EXPECT_EQ(write_error("s", 32, 8, kOwn), EIO) << "overflow is for good";
}

TEST_F(SnapshotTest,
       a_full_store_makes_either_type_invalid_on_an_origin_write) {
  for (StoreType type : {StoreType::persistent, StoreType::persistent_overflow,
                         StoreType::transient}) {
    std::string name = to_string(type);
    add(name, {.type = type, .cow_sectors = 24});
  }

  write("base", 0, 64, kNew);

  EXPECT_EQ(status("P"), "Invalid");
  EXPECT_EQ(status("PO"), "Invalid");
  EXPECT_EQ(status("N"), "Invalid");
  EXPECT_EQ(differs("base", 0, 64, kNew), "");
}

TEST_F(SnapshotTest, a_request_that_does_not_fit_takes_nothing) {
  add("s", {.type = StoreType::persistent_overflow, .cow_sectors = 40});

  EXPECT_EQ(write_error("s", 0, 32, kOwn), EIO);

  EXPECT_EQ(status("s"), "Overflow");
  EXPECT_EQ(differs("s", 0, 32, kOld), "");
}

TEST_F(SnapshotTest, a_store_that_grew_while_nearly_full_goes_on) {
  add("s", {.cow_sectors = 24});
  write("s", 0, 8, kOwn);
  EXPECT_EQ(status("s"), "24/24 16");

  cow("s").memory->set_size(64 * kSectorBytes);

  EXPECT_EQ(status("s"), "24/64 16");
  write("base", 8, 8, kNew);
  write("s", 16, 16, kOwn);
  EXPECT_EQ(status("s"), "48/64 16");
}

TEST_F(SnapshotTest, a_transient_store_uses_all_chunks) {
  add("s", {.type = StoreType::transient, .cow_sectors = 64});
  EXPECT_EQ(status("s"), "0/64 0");

  write("s", 0, 16, kOwn);
  write("base", 16, 8, kNew);

  EXPECT_EQ(status("s"), "24/64 0");
  EXPECT_EQ(differs("s", 0, 16, kOwn), "");
  EXPECT_EQ(differs("s", 16, 100, kOld), "");
  EXPECT_EQ(cow("s").counting->counts().barriers(), 0u);
}

TEST_F(SnapshotTest, no_space_below_a_sparse_cow_is_a_full_store) {
  add("s", {.type = StoreType::persistent_overflow});
  cow("s").faulty->inject({.ops = kWrite, .error = ENOSPC});

  EXPECT_EQ(write_error("s", 0, 8, kOwn), EIO);

  EXPECT_EQ(status("s"), "Overflow");
  EXPECT_EQ(differs("s", 0, 8, kOld), "");
}

TEST_F(SnapshotTest, no_space_for_zeroes_below_a_sparse_cow_is_a_full_store) {
  add("s", {.type = StoreType::persistent_overflow});
  cow("s").faulty->inject({.ops = kZero, .error = ENOSPC});

  EXPECT_EQ(error_of([&] { target("s")->zero(sectors(0, 8)); }), EIO);

  EXPECT_EQ(status("s"), "Overflow");
}

// --- Invalid -----------------------------------------------------------------

TEST_F(SnapshotTest, an_invalid_snapshot_answers_eio_and_flushes) {
  add("s", {.cow_sectors = 16});
  write("base", 0, 8, kNew);
  ASSERT_EQ(status("s"), "Invalid");

  EXPECT_EQ(read_error("s", sectors(0, 8)), EIO);
  EXPECT_EQ(read_error("s", sectors(800, 8)), EIO);
  EXPECT_EQ(write_error("s", 0, 8, kOwn), EIO);
  EXPECT_EQ(error_of([&] { target("s")->zero(sectors(0, 8)); }), EIO);
  EXPECT_EQ(error_of([&] { target("s")->extent_at(0); }), EIO);
  EXPECT_EQ(error_of([&] { target("s")->flush(); }), 0);
}

TEST_F(SnapshotTest, an_invalid_snapshot_takes_no_more_copies) {
  add("s", {.cow_sectors = 24});
  write("base", 0, 16, kNew);
  ASSERT_EQ(status("s"), "Invalid");
  reset();

  write("base", 64, 8, kNew);

  EXPECT_EQ(recorded(), (std::vector<std::string>{"write origin 32768+4096"}));
  EXPECT_EQ(differs("base", 64, 8, kNew), "");
}

TEST_F(SnapshotTest, an_invalid_snapshot_does_not_hurt_its_siblings) {
  add("full", {.cow_sectors = 16});
  add("good");

  write("base", 0, 64, kNew);

  EXPECT_EQ(status("full"), "Invalid");
  EXPECT_EQ(status("good"), "80/4096 16");
  EXPECT_EQ(differs("good", 0, 128, kOld), "");
}

TEST_F(SnapshotTest, a_copy_that_fails_makes_one_snapshot_invalid) {
  add("bad");
  add("good");
  cow("bad").faulty->inject({.ops = kWrite});

  write("base", 0, 8, kNew);

  EXPECT_EQ(status("bad"), "Invalid");
  EXPECT_EQ(header_valid("bad"), 0u);
  EXPECT_EQ(status("good"), "24/4096 16");
  EXPECT_EQ(differs("good", 0, 64, kOld), "");
  EXPECT_EQ(differs("base", 0, 8, kNew), "");
}

TEST_F(SnapshotTest, a_commit_that_fails_makes_one_snapshot_invalid) {
  for (unsigned op : {kFlush, kWriteDurable}) {
    std::string bad = "bad" + std::to_string(op);
    add(bad);
    add("good" + std::to_string(op));
    cow(bad).faulty->inject({.ops = op});

    write("base", op * 8, 8, kNew);

    EXPECT_EQ(status(bad), "Invalid");
    EXPECT_EQ(header_valid(bad), 0u);
    EXPECT_EQ(differs("good" + std::to_string(op), op * 8, 8, kOld), "");
  }
}

TEST_F(SnapshotTest, a_bad_sector_costs_the_snapshots_that_need_it_alone) {
  add("small", {.chunk_sectors = 8});
  add("large", {.chunk_sectors = 64, .cow_sectors = 8192});
  origin_.faulty->inject(
      {.ops = kRead, .range = sectors(40, 1), .for_ever = true});

  write("base", 0, 8, kNew);

  EXPECT_EQ(status("small"), "24/4096 16");
  EXPECT_EQ(status("large"), "Invalid");
  EXPECT_EQ(differs("small", 0, 40, kOld), "");
  EXPECT_EQ(differs("base", 0, 8, kNew), "");
}

TEST_F(SnapshotTest, a_write_whose_chunk_cannot_be_read_makes_it_invalid) {
  add("s", {.chunk_sectors = 32});
  origin_.faulty->inject({.ops = kRead});

  EXPECT_EQ(write_error("s", 3, 4, kOwn), EIO);

  EXPECT_EQ(status("s"), "Invalid");
}

TEST_F(SnapshotTest, a_write_to_the_cow_that_fails_makes_it_invalid) {
  add("s");
  cow("s").faulty->inject({.ops = kWrite});

  EXPECT_EQ(write_error("s", 0, 8, kOwn), EIO);

  EXPECT_EQ(status("s"), "Invalid");
  EXPECT_EQ(header_valid("s"), 0u);
}

TEST_F(SnapshotTest, an_excepted_chunk_that_cannot_be_written_is_an_error) {
  add("s");
  write("s", 0, 8, kOwn);
  cow("s").faulty->inject({.ops = kWrite});

  EXPECT_EQ(write_error("s", 0, 8, 7), EIO);

  EXPECT_EQ(status("s"), "24/4096 16");
}

TEST_F(SnapshotTest, an_origin_that_cannot_be_written_keeps_the_snapshot) {
  add("s");
  origin_.faulty->inject({.ops = kWrite});

  EXPECT_EQ(write_error("base", 0, 8, kNew), EIO);

  EXPECT_EQ(status("s"), "24/4096 16");
  EXPECT_EQ(differs("s", 0, 8, kOld), "");
}

TEST_F(SnapshotTest, a_cow_that_is_dead_does_not_stop_the_origin) {
  add("s");
  cow("s").faulty->inject({.ops = kAnyOp, .for_ever = true});

  write("base", 0, 8, kNew);

  EXPECT_EQ(differs("base", 0, 8, kNew), "");
  EXPECT_EQ(status("s"), "Invalid");
  EXPECT_EQ(header_valid("s"), 1u);
  auto events = events_.events();
  ASSERT_EQ(events.back().kind, EventKind::invalid);
  EXPECT_EQ(events.back().device, "s");
  EXPECT_NE(events.back().text.find("invalid, not recorded on the COW"),
            std::string::npos)
      << events.back().text;
}

TEST_F(SnapshotTest, a_flush_that_fails_is_reported_again) {
  add("s");
  write("s", 0, 8, kOwn);
  cow("s").faulty->inject({.ops = kFlush});

  EXPECT_EQ(error_of([&] { target("s")->flush(); }), EIO);

  EXPECT_EQ(error_of([&] { target("s")->flush(); }), EIO);
  EXPECT_EQ(status("s"), "Invalid");
}

// After each failure a later write and a flush must not wait for ever.
TEST_F(SnapshotTest, a_failed_request_holds_no_later_one_up) {
  add("s", {.chunk_sectors = 8});
  add("t", {.chunk_sectors = 32});
  for (unsigned op : {kRead, kWrite}) {
    for (uint64_t skip = 0; skip < 3; ++skip) {
      origin_.faulty->inject({.ops = op, .skip = skip});
      uint64_t first = 32 * (8 * skip + (op == kRead ? 0 : 4));
      write_error("base", first + 1, 3, kNew);
      write_error("base", first + 40, 3, kNew);
      origin_.faulty->heal();
    }
  }

  write("base", 2000, 8, kNew);
  target("s")->flush();
  target("t")->flush();

  EXPECT_EQ(differs("base", 2000, 8, kNew), "");
}

// --- Zeroes and discards -----------------------------------------------------

TEST_F(SnapshotTest, zeroing_needs_no_read_of_whole_chunks) {
  add("s");

  target("s")->zero(sectors(16, 64));

  EXPECT_TRUE(reads_as_zeroes("s", sectors(16, 64)));
  EXPECT_EQ(origin_.counting->counts().reads, 0u);
  EXPECT_EQ(cow("s").counting->counts().write_bytes, 0u);
}

TEST_F(SnapshotTest, zeroing_any_bytes_leaves_those_around_them) {
  add("s", {.chunk_sectors = 16});
  write("s", 32, 20, kOwn);
  std::vector<std::byte> expected = read("s", sectors(0, 256));

  for (ByteRange range :
       {ByteRange{1, 1}, {1000, 20000}, {65536, 8192}, {70000, 60001}}) {
    std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(range.offset),
                range.length, std::byte{0});
    target("s")->zero(range);
    ASSERT_EQ(read("s", sectors(0, 256)), expected) << range.offset;
  }
  EXPECT_EQ(differs("base", 0, kOriginSectors, kOld), "");
}

TEST_F(SnapshotTest, zeroing_the_origin_copies_out_first) {
  add("s");

  target("base")->zero(sectors(16, 1000));

  EXPECT_TRUE(reads_as_zeroes("base", sectors(16, 1000)));
  EXPECT_EQ(differs("s", 0, kOriginSectors, kOld), "");
}

TEST_F(SnapshotTest, a_discard_without_the_feature_is_not_supported) {
  add("s");
  write("s", 16, 8, kOwn);

  EXPECT_EQ(error_of([&] { target("s")->discard(sectors(16, 8)); }),
            EOPNOTSUPP);

  EXPECT_EQ(differs("s", 16, 8, kOwn), "");
}

TEST_F(SnapshotTest, a_discard_of_exceptions_zeroes_them_in_place) {
  add("s", {.discard_zeroes = true});
  write("s", 16, 32, kOwn);
  std::string before = status("s");

  target("s")->discard(sectors(16, 16));
  target("s")->discard(sectors(34, 2));

  EXPECT_TRUE(reads_as_zeroes("s", sectors(16, 16)));
  EXPECT_TRUE(reads_as_zeroes("s", sectors(34, 2)));
  EXPECT_EQ(differs("s", 32, 2, kOwn), "");
  EXPECT_EQ(differs("s", 36, 12, kOwn), "");
  EXPECT_EQ(status("s"), before);
}

TEST_F(SnapshotTest, a_flush_makes_discards_durable_that_went_to_the_origin) {
  add("s", {.discard_zeroes = true, .passdown = true});
  target("s")->discard(sectors(16, 16));
  reset();

  target("s")->flush();
  target("s")->flush();

  EXPECT_EQ(origin_.counting->counts().flushes, 1u);
}

TEST_F(SnapshotTest, a_discard_of_fresh_chunks_reads_as_zeroes) {
  add("s", {.discard_zeroes = true});

  target("s")->discard(sectors(16, 16));
  target("s")->discard(sectors(34, 2));

  EXPECT_TRUE(reads_as_zeroes("s", sectors(16, 16)));
  EXPECT_TRUE(reads_as_zeroes("s", sectors(34, 2)));
  EXPECT_EQ(differs("s", 32, 2, kOld), "");
  EXPECT_EQ(differs("base", 0, 64, kOld), "");
}

TEST_F(SnapshotTest, a_discard_where_the_origin_has_holes_costs_nothing) {
  add("s", {.discard_zeroes = true});
  origin_.memory->zero(sectors(512, 512));
  reset();

  target("s")->discard(sectors(512, 512));

  EXPECT_EQ(status("s"), "16/4096 16");
  EXPECT_TRUE(reads_as_zeroes("s", sectors(512, 512)));
}

TEST_F(SnapshotTest, a_discard_without_room_changes_nothing) {
  add("s", {.type = StoreType::persistent,
            .cow_sectors = 48,
            .discard_zeroes = true});
  write("s", 16, 8, kOwn);

  EXPECT_EQ(error_of([&] { target("s")->discard(sectors(0, 64)); }),
            EOPNOTSUPP);

  EXPECT_EQ(status("s"), "24/48 16");
  EXPECT_EQ(differs("s", 16, 8, kOwn), "");
  EXPECT_EQ(differs("s", 0, 16, kOld), "");
}

// 30 chunks are used; of the four that are left one is the next metadata area,
// and behind it only two can be used.
TEST_F(SnapshotTest, a_discard_counts_the_metadata_it_would_need) {
  add("s", {.chunk_sectors = 1, .cow_sectors = 36, .discard_zeroes = true});
  write("s", 0, 30, kOwn);

  EXPECT_EQ(error_of([&] { target("s")->discard(sectors(100, 4)); }),
            EOPNOTSUPP);

  EXPECT_EQ(status("s"), "32/36 2");
  EXPECT_EQ(differs("s", 100, 4, kOld), "");
  target("s")->discard(sectors(100, 3));
  EXPECT_TRUE(reads_as_zeroes("s", sectors(100, 3)));
}

TEST_F(SnapshotTest, a_discard_of_an_overflowed_snapshot_is_refused) {
  add("s", {.type = StoreType::persistent_overflow,
            .cow_sectors = 24,
            .discard_zeroes = true});
  write("s", 0, 8, kOwn);
  ASSERT_EQ(write_error("s", 8, 8, kOwn), EIO);

  EXPECT_EQ(error_of([&] { target("s")->discard(sectors(0, 8)); }), EIO);
}

TEST_F(SnapshotTest, a_discard_of_an_invalid_snapshot_is_refused) {
  add("s", {.cow_sectors = 16, .discard_zeroes = true});
  write("base", 0, 8, kNew);

  EXPECT_EQ(error_of([&] { target("s")->discard(sectors(0, 8)); }), EIO);
}

TEST_F(SnapshotTest, a_discard_of_an_origin_with_snapshots_is_not_supported) {
  add("s");

  EXPECT_EQ(error_of([&] { target("base")->discard(sectors(0, 8)); }),
            EOPNOTSUPP);

  EXPECT_EQ(status("s"), "16/4096 16");
  EXPECT_EQ(differs("base", 0, 8, kOld), "");
}

TEST_F(SnapshotTest, a_discard_of_an_origin_without_valid_ones_zeroes_it) {
  add("s", {.cow_sectors = 16});
  write("base", 0, 8, kNew);
  ASSERT_EQ(status("s"), "Invalid");

  target("base")->discard(sectors(64, 64));

  EXPECT_TRUE(reads_as_zeroes("base", sectors(64, 64)));
}

class Passdown : public SnapshotTest {
 protected:
  Passdown() {
    add("s", {.chunk_sectors = 8, .discard_zeroes = true, .passdown = true});
    add("sibling", {.chunk_sectors = 32});
  }
};

TEST_F(Passdown, a_discard_reaches_the_origin_and_costs_no_exception) {
  target("s")->discard(sectors(64, 64));

  EXPECT_TRUE(reads_as_zeroes("s", sectors(64, 64)));
  EXPECT_TRUE(reads_as_zeroes("base", sectors(64, 64)));
  EXPECT_EQ(status("s"), "16/4096 16");
}

TEST_F(Passdown, a_discard_copies_out_to_the_siblings_first) {
  target("s")->discard(sectors(70, 3));

  EXPECT_EQ(differs("sibling", 0, kOriginSectors, kOld), "");
  EXPECT_EQ(status("sibling"), "96/4096 64");
}

TEST_F(Passdown, a_discard_of_exceptions_zeroes_both) {
  write("s", 64, 8, kOwn);

  target("s")->discard(sectors(60, 16));

  EXPECT_TRUE(reads_as_zeroes("s", sectors(60, 16)));
  EXPECT_EQ(differs("s", 0, 60, kOld), "");
  EXPECT_EQ(differs("s", 76, 20, kOld), "");
}

// A first write to the other half of the chunk has read the old content of the
// half that is discarded, and has not published it yet.
TEST_F(Passdown, a_discard_is_not_undone_by_a_first_write_under_way) {
  cow("s").counting->hold(kWrite);
  in_a_thread([this] { write("s", 68, 4, kOwn); });
  cow("s").counting->wait_until_held(kWrite, 1);
  in_a_thread([this] { target("s")->discard(sectors(64, 4)); });
  eventually([&] { return origin_.counting->counts().zeroes == 1; });

  cow("s").counting->release(kWrite);
  threads_.join();

  EXPECT_TRUE(reads_as_zeroes("s", sectors(64, 4)));
  EXPECT_EQ(differs("s", 68, 4, kOwn), "");
}

// --- Extents, status, tables -------------------------------------------------

TEST_F(SnapshotTest, extents_are_those_of_the_device_that_is_read) {
  origin_.memory->zero(sectors(1024, 512));
  add("s");
  write("s", 1100, 4, kOwn);
  target("s")->zero(sectors(16, 8));
  write("base", 1400, 8, kNew);

  uint64_t end = target("s")->size();
  std::vector<std::byte> all = read("s", {0, end});
  uint64_t holes = 0;
  for (uint64_t at = 0; at < end;) {
    BlockDevice::Extent extent = target("s")->extent_at(at);
    ASSERT_GT(extent.length, 0u);
    ASSERT_LE(at + extent.length, end);
    if (!extent.is_data) {
      holes += extent.length;
      for (uint64_t i = at; i < at + extent.length; ++i) {
        ASSERT_EQ(all[i], std::byte{0}) << i;
      }
    }
    at += extent.length;
  }
  // Chunks 128 to 191 less 137, which was written; chunk 175 is the copy of a
  // hole; chunk 2 was zeroed.
  EXPECT_GE(holes, (512 - 16 + 8) * kSectorBytes);
}

TEST_F(SnapshotTest, status_and_table_lines_are_dmsetups) {
  add("s", {.chunk_sectors = 16, .length_sectors = 1000});
  add("po", {.type = StoreType::persistent_overflow,
             .cow_sectors = 64,
             .discard_zeroes = true});
  add("pass", {.discard_zeroes = true, .passdown = true});
  add("n", {.type = StoreType::transient, .chunk_sectors = 32});

  EXPECT_EQ(target("s")->status_line(), "0 1000 snapshot 32/4096 32");
  EXPECT_EQ(target("s")->table_line(), "0 1000 snapshot origin s-cow P 16");
  EXPECT_EQ(target("po")->table_line(),
            "0 2048 snapshot origin po-cow PO 8 1 discard_zeroes_cow");
  EXPECT_EQ(target("pass")->table_line(),
            "0 2048 snapshot origin pass-cow P 8 2 discard_zeroes_cow "
            "discard_passdown_origin");
  EXPECT_EQ(target("n")->table_line(), "0 2048 snapshot origin n-cow N 32");
  EXPECT_EQ(target("n")->status_line(), "0 2048 snapshot 0/4096 0");
}

TEST_F(SnapshotTest, allocated_sectors_are_what_the_cow_holds) {
  add("s");
  write("s", 0, 16, kOwn);

  EXPECT_EQ(target("s")->allocated_sectors(), 32u);
}

TEST_F(SnapshotTest, measures_count_the_exceptions) {
  add("s");
  write("s", 0, 16, kOwn);
  write("base", 100, 1, kNew);

  const std::vector<Measure> measures = target("s")->measures();
  EXPECT_STREQ("exceptions", measures.front().key);
  EXPECT_EQ(3u, measures.front().value);
}

}  // namespace
}  // namespace snapfs::test

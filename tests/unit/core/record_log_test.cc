// SPDX-License-Identifier: MIT
#include "core/record_log.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "core/error.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/recording_device.h"
#include "tests/support/seed.h"

namespace snapfs::test {
namespace {

using Records = std::vector<DiskRecord>;

constexpr uint64_t kDeviceBytes = uint64_t{1} << 20;

// Record number `i` of a log without gaps, for chunks that do not coalesce.
DiskRecord record(StoreLayout layout, uint64_t i) {
  return {1000 + 2 * i, i + 2 + i / layout.records_per_area()};
}

std::vector<ExceptionRun> records(StoreLayout layout, uint64_t first,
                                  uint64_t count) {
  std::vector<ExceptionRun> runs;
  for (uint64_t i = first; i < first + count; ++i) {
    DiskRecord one = record(layout, i);
    runs.push_back({one.old_chunk, one.new_chunk, 1});
  }
  return runs;
}

Records load(BlockDevice& device, StoreLayout layout) {
  Records found;
  RecordLog log =
      RecordLog::load(device, layout, [&](uint64_t slot, const DiskRecord& r) {
        EXPECT_EQ(slot, found.size());
        found.push_back(r);
      });
  EXPECT_EQ(log.size(), found.size());
  return found;
}

// How many records there are; -1 if they are not the first ones.
int64_t prefix_length(const Records& found, StoreLayout layout) {
  for (uint64_t i = 0; i < found.size(); ++i) {
    if (found[i].old_chunk != record(layout, i).old_chunk ||
        found[i].new_chunk != record(layout, i).new_chunk) {
      return -1;
    }
  }
  return static_cast<int64_t>(found.size());
}

std::shared_ptr<MemoryDevice> device_with(
    const std::vector<std::byte>& content) {
  auto device = std::make_shared<MemoryDevice>(content.size(), "cow");
  device->write(0, content);
  return device;
}

RecordLog reopen(BlockDevice& device, StoreLayout layout) {
  return RecordLog::load(device, layout, [](uint64_t, const DiskRecord&) {});
}

std::vector<std::string> in_words(const std::vector<RecordedOp>& ops) {
  std::vector<std::string> words;
  for (const RecordedOp& op : ops) words.push_back(test::in_words(op));
  return words;
}

// A log on a device that records, whose chunks have `sectors` sectors.
class Log {
 public:
  explicit Log(uint64_t sectors, uint64_t bytes = kDeviceBytes)
      : layout_(ChunkSize(sectors)),
        memory_(std::make_shared<MemoryDevice>(bytes, "cow")),
        device_(memory_, recording_),
        log_(RecordLog::create(device_, layout_)) {
    recording_->clear();
  }

  StoreLayout layout() const { return layout_; }
  MemoryDevice& memory() { return *memory_; }
  RecordLog& log() { return log_; }
  std::vector<RecordedOp> ops() const { return recording_->ops(); }

  // Appends the next records and forgets the operations.
  void prepare(uint64_t count) {
    append(count);
    recording_->clear();
  }
  void append(uint64_t count) {
    log_.append(records(layout_, log_.size(), count));
  }
  Records load() { return test::load(*memory_, layout_); }

 private:
  const StoreLayout layout_;
  std::shared_ptr<Recording> recording_ = std::make_shared<Recording>();
  std::shared_ptr<MemoryDevice> memory_;
  RecordingDevice device_;
  RecordLog log_;
};

TEST(RecordLog, a_new_log_is_empty_whatever_was_there) {
  const StoreLayout layout{ChunkSize(8)};
  MemoryDevice device(kDeviceBytes);
  std::vector<std::byte> junk(kDeviceBytes, std::byte{0xa5});
  device.write(0, junk);

  RecordLog log = RecordLog::create(device, layout);

  EXPECT_EQ(log.size(), 0u);
  EXPECT_TRUE(load(device, layout).empty());
}

TEST(RecordLog, a_record_lies_where_the_kernel_has_it) {
  Log log(8);

  log.log().append({{7, 2, 1}});

  std::vector<std::byte> area(4096);
  log.memory().read(4096, area);
  DiskRecord found = unpack_record(area);
  EXPECT_EQ(found.old_chunk, 7u);
  EXPECT_EQ(found.new_chunk, 2u);
  for (size_t i = kRecordBytes; i < area.size(); ++i) {
    ASSERT_EQ(area[i], std::byte{0});
  }
}

TEST(RecordLog, records_of_a_run_are_written_one_by_one) {
  Log log(8);

  log.log().append({{100, 3, 3}, {7, 6, 1}});

  Records found = log.load();
  ASSERT_EQ(found.size(), 4u);
  for (uint64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(found[i].old_chunk, 100 + i);
    EXPECT_EQ(found[i].new_chunk, 3 + i);
  }
  EXPECT_EQ(found[3].old_chunk, 7u);
  EXPECT_EQ(found[3].new_chunk, 6u);
}

TEST(RecordLog, an_append_is_a_flush_and_one_durable_write) {
  Log log(8);
  log.prepare(3);

  log.append(2);

  EXPECT_EQ(in_words(log.ops()), (std::vector<std::string>{
                                     "flush cow",
                                     "write_durable cow 4096+4096",
                                 }));
  EXPECT_EQ(prefix_length(log.load(), log.layout()), 5);
}

TEST(RecordLog, an_append_writes_the_pages_it_changes_alone) {
  Log log(128, 8 * kDeviceBytes);  // areas of 64 KiB, 256 records in a page
  log.prepare(300);

  log.append(250);

  EXPECT_EQ(in_words(log.ops()), (std::vector<std::string>{
                                     "flush cow",
                                     "write_durable cow 69632+8192",
                                 }));
  EXPECT_EQ(prefix_length(log.load(), log.layout()), 550);
}

TEST(RecordLog, the_next_area_is_zeroed_before_the_last_slot_is_used) {
  Log log(1);
  log.prepare(31);

  log.append(1);

  EXPECT_EQ(in_words(log.ops()), (std::vector<std::string>{
                                     "zero cow 17408+512",  // chunk 34
                                     "flush cow",
                                     "write_durable cow 512+512",
                                 }));
}

TEST(RecordLog, the_first_area_is_written_last_when_records_go_on) {
  Log log(1);
  log.prepare(30);

  log.append(5);

  EXPECT_EQ(in_words(log.ops()), (std::vector<std::string>{
                                     "write cow 17408+512",
                                     "flush cow",
                                     "write_durable cow 512+512",
                                 }));
  EXPECT_EQ(prefix_length(log.load(), log.layout()), 35);
}

TEST(RecordLog, all_areas_of_an_append_share_one_flush) {
  Log log(1);
  log.prepare(20);

  log.append(12 + 32 + 32);

  EXPECT_EQ(in_words(log.ops()),
            (std::vector<std::string>{
                "write cow 17408+512",  // area 1, full
                "write cow 34304+512",  // area 2, full
                "zero cow 51200+512",   // area 3
                "flush cow",
                "write_durable cow 512+512",
            }));
  EXPECT_EQ(prefix_length(log.load(), log.layout()), 96);
}

TEST(RecordLog, the_rest_of_a_large_next_area_is_zeroed) {
  Log log(16, 8 * kDeviceBytes);  // areas of two pages
  std::vector<std::byte> junk(8192, std::byte{0xee});
  log.memory().write(514 * 8192, junk);
  log.prepare(511);

  log.append(2);

  EXPECT_EQ(in_words(log.ops()), (std::vector<std::string>{
                                     "write cow 4210688+4096",
                                     "zero cow 4214784+4096",
                                     "flush cow",
                                     "write_durable cow 12288+4096",
                                 }));
}

TEST(RecordLog, a_next_area_full_of_junk_is_not_read_as_records) {
  const StoreLayout layout{ChunkSize(1)};
  MemoryDevice device(kDeviceBytes);
  std::vector<std::byte> junk(kDeviceBytes, std::byte{0x11});
  device.write(0, junk);
  RecordLog log = RecordLog::create(device, layout);

  for (uint64_t i = 0; i < 70; ++i) log.append(records(layout, i, 1));

  EXPECT_EQ(prefix_length(load(device, layout), layout), 70);
}

TEST(RecordLog, a_log_that_was_loaded_goes_on_where_it_ended) {
  for (uint64_t sectors : {1u, 2u, 8u, 16u}) {
    Log log(sectors, 16 * kDeviceBytes);
    const uint64_t area = log.layout().records_per_area();
    for (uint64_t first : {uint64_t{0}, uint64_t{1}, area - 1, area, area + 1,
                           2 * area - 1, 2 * area}) {
      MemoryDevice device(16 * kDeviceBytes);
      RecordLog made = RecordLog::create(device, log.layout());
      if (first != 0) made.append(records(log.layout(), 0, first));

      RecordLog again = reopen(device, log.layout());
      again.append(records(log.layout(), first, 3));

      ASSERT_EQ(prefix_length(load(device, log.layout()), log.layout()),
                static_cast<int64_t>(first + 3))
          << sectors << " sectors, " << first << " records";
    }
  }
}

TEST(RecordLog, appends_of_any_size_add_up) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const StoreLayout layout{ChunkSize(1)};
  MemoryDevice device(kDeviceBytes);
  std::optional<RecordLog> log(RecordLog::create(device, layout));

  for (int step = 0; step < 40; ++step) {
    log->append(records(layout, log->size(), 1 + random() % 40));
    if (random() % 3 == 0) log.emplace(reopen(device, layout));
    ASSERT_EQ(prefix_length(load(device, layout), layout),
              static_cast<int64_t>(log->size()));
  }
}

TEST(RecordLog, loading_writes_nothing) {
  Log log(1);
  log.prepare(300);
  auto recording = std::make_shared<Recording>();
  RecordingDevice device(device_with(log.memory().content()), recording);

  reopen(device, log.layout());

  EXPECT_TRUE(recording->ops().empty());
}

// Any of the sectors of a record write may be missing after a power cut.
TEST(RecordLog, every_torn_record_write_reads_as_a_prefix) {
  Log log(8);
  log.prepare(40);  // a sector holds 32
  std::vector<std::byte> before = log.memory().content();
  log.append(210);
  std::vector<RecordedOp> ops = log.ops();
  ASSERT_EQ(ops.back().op, kWriteDurable);
  ASSERT_EQ(ops.back().length / kSectorBytes, 8u);

  for (unsigned kept = 0; kept < 256; ++kept) {
    auto device = device_with(
        after_power_cut(before, ops, ops.size(), [&](size_t, uint64_t sector) {
          return (kept >> (sector - 8) & 1U) != 0;
        }));
    Records found = load(*device, log.layout());
    ASSERT_GE(prefix_length(found, log.layout()), 40) << "sectors " << kept;
  }
}

TEST(RecordLog, a_power_cut_at_any_point_leaves_a_prefix) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (uint64_t sectors : {1u, 2u, 8u}) {
    Log log(sectors, sectors * kDeviceBytes);
    const uint64_t area = log.layout().records_per_area();
    // Areas that will be reached hold stale records of an earlier life.
    for (uint64_t a = 1; a < 4; ++a) {
      std::vector<std::byte> stale(log.layout().chunk_size().bytes());
      for (uint64_t at = 0; at < stale.size(); at += kRecordBytes) {
        pack_record({5, 9}, std::span(stale).subspan(at));
      }
      log.memory().write(log.layout().slot_offset(a * area), stale);
    }
    uint64_t committed = 0;
    for (uint64_t count : {uint64_t{3}, area - 5, 2 * area + 7, area}) {
      std::vector<std::byte> before = log.memory().content();
      log.prepare(0);
      log.append(count);
      std::vector<RecordedOp> ops = log.ops();
      for (size_t cut = 0; cut <= ops.size(); ++cut) {
        for (int round = 0; round < 4; ++round) {
          auto device = device_with(after_power_cut(
              before, ops, cut,
              [&](size_t, uint64_t) { return random() % 2 == 0; }));
          int64_t found =
              prefix_length(load(*device, log.layout()), log.layout());
          ASSERT_GE(found, static_cast<int64_t>(committed))
              << sectors << " sectors, cut at " << cut;
        }
      }
      committed += count;
      ASSERT_EQ(prefix_length(log.load(), log.layout()),
                static_cast<int64_t>(committed));
    }
  }
}

// Some records, a gap of one, then stale ones up to the end of the area.
std::shared_ptr<MemoryDevice> torn_device(StoreLayout layout, uint64_t count) {
  auto device = std::make_shared<MemoryDevice>(kDeviceBytes, "cow");
  RecordLog log = RecordLog::create(*device, layout);
  log.append(records(layout, 0, count));
  std::vector<std::byte> stale(kRecordBytes);
  pack_record({77, 99}, stale);
  for (uint64_t slot = count + 1; slot < layout.records_per_area(); ++slot) {
    device->write(layout.slot_offset(slot), stale);
  }
  return device;
}

// The gap is in the middle of a sector, at the end of one, at the end of a
// page, and at the end of the area. (A sector holds 32 records, a page 256.)
constexpr uint64_t kGaps[] = {3, 31, 32, 255, 256, 510, 511};

TEST(RecordLog, stale_records_behind_the_end_are_not_loaded) {
  const StoreLayout layout{ChunkSize(16)};

  for (uint64_t gap : kGaps) {
    EXPECT_EQ(prefix_length(load(*torn_device(layout, gap), layout), layout),
              static_cast<int64_t>(gap));
  }
}

TEST(RecordLog, stale_records_are_gone_durably_before_the_gap_is_filled) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const StoreLayout layout{ChunkSize(16)};
  for (uint64_t gap : kGaps) {
    if (gap == 511) continue;  // that would need the next area
    auto memory = torn_device(layout, gap);
    std::vector<std::byte> before = memory->content();
    auto recording = std::make_shared<Recording>();
    RecordingDevice device(memory, recording);
    RecordLog log = reopen(device, layout);

    log.append(records(layout, gap, 1));

    EXPECT_EQ(prefix_length(load(*memory, layout), layout),
              static_cast<int64_t>(gap + 1));
    std::vector<RecordedOp> ops = recording->ops();
    for (size_t cut = 0; cut <= ops.size(); ++cut) {
      for (int round = 0; round < 16; ++round) {
        auto after = device_with(after_power_cut(
            before, ops, cut,
            [&](size_t, uint64_t) { return random() % 2 == 0; }));
        ASSERT_GE(prefix_length(load(*after, layout), layout),
                  static_cast<int64_t>(gap))
            << "gap at " << gap << ", cut at " << cut;
      }
    }
  }
}

TEST(RecordLog, stale_records_do_not_come_back_later) {
  const StoreLayout layout{ChunkSize(16)};
  auto device = torn_device(layout, 3);
  RecordLog log = reopen(*device, layout);

  for (uint64_t i = 3; i < 300; ++i) {
    log.append(records(layout, i, 1));
    ASSERT_EQ(prefix_length(load(*device, layout), layout),
              static_cast<int64_t>(i + 1));
  }
}

TEST(RecordLog, the_tail_is_cleaned_once) {
  const StoreLayout layout{ChunkSize(16)};
  auto recording = std::make_shared<Recording>();
  RecordingDevice device(torn_device(layout, 3), recording);
  RecordLog log = reopen(device, layout);
  log.append(records(layout, 3, 1));
  recording->clear();

  log.append(records(layout, 4, 1));

  EXPECT_EQ(in_words(recording->ops()), (std::vector<std::string>{
                                            "flush cow",
                                            "write_durable cow 8192+4096",
                                        }));
}

TEST(RecordLog, a_clean_tail_is_not_written) {
  Log log(8);
  log.prepare(3);
  auto recording = std::make_shared<Recording>();
  RecordingDevice device(device_with(log.memory().content()), recording);
  RecordLog again = reopen(device, log.layout());

  again.append(records(log.layout(), 3, 1));

  EXPECT_EQ(in_words(recording->ops()), (std::vector<std::string>{
                                            "flush cow",
                                            "write_durable cow 4096+4096",
                                        }));
}

// An area of 2 MiB is read in two pieces.
TEST(RecordLog, an_area_larger_than_a_read_is_loaded) {
  constexpr uint64_t kInOneRead = (uint64_t{1} << 20) / kRecordBytes;
  const StoreLayout layout{ChunkSize(4096)};
  for (uint64_t count : {kInOneRead - 1, kInOneRead, kInOneRead + 3}) {
    MemoryDevice device(uint64_t{1} << 40, "cow");
    RecordLog log = RecordLog::create(device, layout);
    log.append(records(layout, 0, count));

    ASSERT_EQ(prefix_length(load(device, layout), layout),
              static_cast<int64_t>(count));
    RecordLog again = reopen(device, layout);
    again.append(records(layout, count, 2));

    EXPECT_EQ(prefix_length(load(device, layout), layout),
              static_cast<int64_t>(count + 2));
  }
}

TEST(RecordLog, a_stale_record_in_a_later_read_is_seen) {
  const StoreLayout layout{ChunkSize(4096)};
  MemoryDevice device(uint64_t{1} << 40, "cow");
  RecordLog::create(device, layout).append(records(layout, 0, 3));
  std::vector<std::byte> stale(kRecordBytes, std::byte{1});
  const uint64_t where = layout.slot_offset(100000);
  device.write(where, stale);

  RecordLog log = reopen(device, layout);
  log.append(records(layout, 3, 1));

  device.read(where, stale);
  EXPECT_EQ(stale, std::vector<std::byte>(kRecordBytes));
}

TEST(RecordLog, a_full_area_without_a_next_one_is_refused) {
  const StoreLayout layout{ChunkSize(1)};
  MemoryDevice device(kDeviceBytes, "cow");
  RecordLog::create(device, layout).append(records(layout, 0, 32));
  device.set_size(34 * kSectorBytes);

  try {
    load(device, layout);
    FAIL() << "it loaded";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), Errc::bad_metadata);
    EXPECT_STREQ(error.what(),
                 "cow: metadata area 1 (chunk 34) lies beyond the end of the "
                 "device: bad snapshot metadata");
  }
}

TEST(RecordLog, an_area_that_cannot_be_read_is_an_error) {
  const StoreLayout layout{ChunkSize(1)};
  auto memory = std::make_shared<MemoryDevice>(kDeviceBytes, "cow");
  RecordLog::create(*memory, layout).append(records(layout, 0, 40));
  FaultyDevice device(memory);
  device.inject({.ops = kRead, .range = ByteRange{34 * 512, 512}});

  EXPECT_THROW(load(device, layout), std::system_error);
}

TEST(RecordLog, an_append_that_fails_before_its_last_write_adds_nothing) {
  const StoreLayout layout{ChunkSize(1)};
  for (unsigned op : {kWrite, kZero, kFlush, kWriteDurable}) {
    auto memory = std::make_shared<MemoryDevice>(kDeviceBytes, "cow");
    FaultyDevice device(memory);
    RecordLog log = RecordLog::create(device, layout);
    log.append(records(layout, 0, 20));
    device.inject({.ops = op});

    EXPECT_THROW(log.append(records(layout, 20, 12 + 32 + 3 + 29)),
                 std::system_error)
        << op;

    EXPECT_EQ(prefix_length(load(*memory, layout), layout), 20) << op;
  }
}

TEST(RecordLog, the_tail_is_what_one_window_holds_of_the_last_records) {
  Log log(64);  // areas of 32 KiB, written in windows of 256 records
  log.prepare(300);

  Records tail = log.log().tail(1000);
  Records two = log.log().tail(2);

  ASSERT_EQ(tail.size(), 44u);
  EXPECT_EQ(tail.front().old_chunk, record(log.layout(), 256).old_chunk);
  EXPECT_EQ(tail.back().old_chunk, record(log.layout(), 299).old_chunk);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two.front().new_chunk, record(log.layout(), 298).new_chunk);
  EXPECT_TRUE(Log(1).log().tail(10).empty());
}

TEST(RecordLog, records_are_taken_away_with_one_durable_write) {
  Log log(8);
  log.prepare(40);

  ASSERT_EQ(log.log().tail(10).size(), 10u);
  log.log().truncate(10);

  EXPECT_EQ(in_words(log.ops()),
            std::vector<std::string>{"write_durable cow 4096+4096"});
  EXPECT_EQ(log.log().size(), 30u);
  EXPECT_EQ(prefix_length(log.load(), log.layout()), 30);
}

TEST(RecordLog, a_log_shrinks_through_its_areas_to_nothing) {
  Log log(1);
  log.append(100);  // three full areas and a bit

  uint64_t left = 100;
  while (left != 0) {
    const uint64_t count = log.log().tail(7).size();
    ASSERT_GT(count, 0u);
    log.log().truncate(count);
    left -= count;
    ASSERT_EQ(prefix_length(log.load(), log.layout()),
              static_cast<int64_t>(left));
  }

  EXPECT_TRUE(log.log().tail(7).empty());
}

TEST(RecordLog, a_log_that_shrank_grows_again) {
  for (uint64_t kept : {0u, 1u, 31u, 32u, 33u, 40u}) {
    Log log(1);
    log.append(70);
    while (log.log().size() > kept) {
      const uint64_t room = log.log().size() - kept;
      log.log().truncate(log.log().tail(room).size());
    }

    log.append(50);

    EXPECT_EQ(prefix_length(log.load(), log.layout()),
              static_cast<int64_t>(kept) + 50);
  }
}

TEST(RecordLog, every_torn_truncation_reads_as_a_prefix) {
  Log log(8);
  log.append(200);
  const std::vector<std::byte> before = log.memory().content();
  log.prepare(0);
  const size_t first = log.ops().size();
  log.log().truncate(log.log().tail(150).size());
  std::vector<RecordedOp> ops = log.ops();
  ops.erase(ops.begin(), ops.begin() + static_cast<std::ptrdiff_t>(first));

  for (unsigned survivors = 0; survivors < 256; ++survivors) {
    auto cow = device_with(
        after_power_cut(before, ops, ops.size(), [&](size_t, uint64_t sector) {
          return (survivors >> (sector - 8) & 1) != 0;
        }));
    Records found = load(*cow, log.layout());

    const int64_t length = prefix_length(found, log.layout());
    ASSERT_GE(length, 50);
    ASSERT_LE(length, 200);
    // What survived behind a gap does not come back when that is filled.
    RecordLog again = reopen(*cow, log.layout());
    again.append(records(log.layout(), again.size(), 1));
    ASSERT_EQ(prefix_length(load(*cow, log.layout()), log.layout()),
              length + 1);
  }
}

TEST(RecordLog, a_truncation_that_failed_is_done_again_from_memory) {
  for (unsigned fails : {unsigned{kWriteDurable}, unsigned{kRead}}) {
    auto memory = std::make_shared<MemoryDevice>(kDeviceBytes, "cow");
    FaultyDevice device(memory);
    const StoreLayout layout{ChunkSize(1)};
    RecordLog log = RecordLog::create(device, layout);
    log.append(records(layout, 0, 64));  // two areas, full
    ASSERT_EQ(log.tail(5).size(), 5u);
    device.inject({.ops = fails, .for_ever = true});
    if (fails == kWriteDurable) {
      EXPECT_THROW(log.truncate(5), std::system_error);
    }
    // The write may have arrived all the same.
    memory->zero({layout.slot_offset(59), 5 * kRecordBytes});
    EXPECT_EQ(log.size(), 64u);
    EXPECT_EQ(log.tail(5).back().old_chunk, record(layout, 63).old_chunk);

    device.heal();
    log.truncate(5);

    EXPECT_EQ(log.size(), 59u);
    EXPECT_EQ(prefix_length(load(*memory, layout), layout), 59);
  }
}

TEST(RecordLog, cleared_records_are_an_error_not_a_record) {
  Log log(1);
  log.append(64);
  log.memory().zero({log.layout().slot_offset(63), kRecordBytes});

  EXPECT_THROW(log.log().tail(1), std::system_error);
  EXPECT_EQ(log.log().size(), 64u);
}

TEST(RecordLog, stale_records_are_gone_before_a_truncation) {
  Log log(8);
  log.append(20);
  std::vector<std::byte> junk(kRecordBytes, std::byte{1});
  log.memory().write(log.layout().slot_offset(30), junk);
  log.memory().write(log.layout().slot_offset(255), junk);
  RecordLog again = reopen(log.memory(), log.layout());

  again.truncate(again.tail(5).size());

  std::vector<std::byte> tail(kRecordBytes * (256 - 15));
  log.memory().read(log.layout().slot_offset(15), tail);
  EXPECT_EQ(tail, std::vector<std::byte>(tail.size()));
}

}  // namespace
}  // namespace snapfs::test

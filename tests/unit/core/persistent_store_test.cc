// SPDX-License-Identifier: MIT
#include "core/persistent_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "core/error.h"
#include "tests/support/counting_device.h"
#include "tests/support/eventually.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/pattern.h"
#include "tests/support/recording_device.h"
#include "tests/support/seed.h"
#include "tests/support/test_threads.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kManyChunks = uint64_t{1} << 40;  // of an origin

std::shared_ptr<MemoryDevice> cow_of(uint64_t sectors) {
  return std::make_shared<MemoryDevice>(sectors * kSectorBytes, "cow");
}

// As a status line has it.
std::string in_words(const StoreUsage& usage) {
  return std::to_string(usage.allocated) + "/" + std::to_string(usage.total) +
         " " + std::to_string(usage.metadata);
}

std::string hex(const std::vector<std::byte>& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

std::string hex_at(BlockDevice& device, uint64_t offset, uint64_t length) {
  return hex(read_range(device, {offset, length}));
}

// Where the chunk of one exception goes; it is handed in.
uint64_t add(ExceptionStore& store, uint64_t old_chunk) {
  auto reservation = store.reserve(1);
  if (!reservation) throw std::runtime_error("the store is full");
  uint64_t new_chunk = reservation->new_chunks.front().first;
  store.hand_in(*reservation, {{old_chunk, new_chunk, 1}});
  return new_chunk;
}

uint64_t add_and_commit(ExceptionStore& store, uint64_t old_chunk) {
  uint64_t new_chunk = add(store, old_chunk);
  store.commit();
  return new_chunk;
}

std::unique_ptr<PersistentStore> load(const std::shared_ptr<BlockDevice>& cow,
                                      uint64_t sectors, ExceptionTable& table,
                                      uint64_t origin_chunks = kManyChunks) {
  return PersistentStore::load(cow, ChunkSize(sectors), origin_chunks, table);
}

void write_record(BlockDevice& cow, uint64_t sectors, uint64_t slot,
                  const DiskRecord& record) {
  std::vector<std::byte> bytes(kRecordBytes);
  pack_record(record, bytes);
  cow.write(StoreLayout(ChunkSize(sectors)).slot_offset(slot), bytes);
}

// A store of chunks of 8 sectors that holds these records.
std::shared_ptr<MemoryDevice> cow_with(const std::vector<DiskRecord>& records) {
  auto cow = cow_of(4096);
  PersistentStore::create(cow, ChunkSize(8));
  for (size_t i = 0; i < records.size(); ++i) {
    write_record(*cow, 8, i, records[i]);
  }
  return cow;
}

std::string load_error(const std::vector<DiskRecord>& records,
                       uint64_t origin_chunks = 1000) {
  ExceptionTable table;
  try {
    load(cow_with(records), 8, table, origin_chunks);
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), Errc::bad_metadata);
    return error.what();
  }
  return "it loaded";
}

TEST(PersistentStore, a_new_store_has_the_kernels_bytes_and_status) {
  auto cow = cow_of(4096);

  auto store = PersistentStore::create(cow, ChunkSize(8));

  EXPECT_EQ(hex_at(*cow, 0, 16), "536e4170010000000100000008000000");
  EXPECT_EQ(in_words(store->usage()), "16/4096 16");
}

TEST(PersistentStore, a_new_store_is_made_over_anything) {
  auto cow = cow_of(4096);
  std::vector<std::byte> junk(4096 * kSectorBytes, std::byte{0x53});
  cow->write(0, junk);

  PersistentStore::create(cow, ChunkSize(8));

  // An ext4 superblock lies at byte 1024, within the header's chunk.
  EXPECT_EQ(hex_at(*cow, 16, 4096 - 16), std::string(2 * (4096 - 16), '0'));
  EXPECT_EQ(hex_at(*cow, 4096, 4096), std::string(2 * 4096, '0'));
  ExceptionTable table;
  EXPECT_EQ(in_words(load(cow, 8, table)->usage()), "16/4096 16");
  EXPECT_EQ(table.size(), 0u);
}

TEST(PersistentStore, the_header_is_written_when_the_log_is_durable) {
  auto recording = std::make_shared<Recording>();
  auto cow = std::make_shared<RecordingDevice>(cow_of(4096), recording);

  PersistentStore::create(cow, ChunkSize(8));

  std::vector<RecordedOp> ops = recording->ops();
  ASSERT_GE(ops.size(), 3u);
  EXPECT_EQ(ops.back().op, kWriteDurable);
  EXPECT_EQ(ops.back().offset, 0u);
  EXPECT_EQ(ops.back().length, kSectorBytes);
  EXPECT_EQ(ops[ops.size() - 2].op, kFlush);
}

TEST(PersistentStore, a_power_cut_while_it_is_made_leaves_a_store_or_none) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  auto memory = cow_of(64);
  std::vector<std::byte> junk(64 * kSectorBytes, std::byte{3});
  std::fill_n(junk.begin(), 4, std::byte{0});
  memory->write(0, junk);
  auto recording = std::make_shared<Recording>();
  PersistentStore::create(std::make_shared<RecordingDevice>(memory, recording),
                          ChunkSize(8));
  std::vector<RecordedOp> ops = recording->ops();

  for (size_t cut = 0; cut <= ops.size(); ++cut) {
    for (int round = 0; round < 16; ++round) {
      auto cow = cow_of(64);
      cow->write(0, after_power_cut(junk, ops, cut, [&](size_t, uint64_t) {
                   return random() % 2 == 0;
                 }));
      if (PersistentStore::probe(*cow).kind ==
          PersistentStore::Probe::Kind::empty) {
        continue;
      }
      ExceptionTable table;
      EXPECT_EQ(in_words(load(cow, 8, table)->usage()), "16/64 16");
    }
  }
}

TEST(PersistentStore, the_smallest_devices_that_fit_are_told) {
  EXPECT_FALSE(PersistentStore::fits(*cow_of(15), ChunkSize(8)));
  EXPECT_TRUE(PersistentStore::fits(*cow_of(16), ChunkSize(8)));
  EXPECT_FALSE(PersistentStore::fits(*cow_of(1), ChunkSize(1)));
  EXPECT_TRUE(PersistentStore::fits(*cow_of(2), ChunkSize(1)));
}

TEST(PersistentStore, a_store_without_room_for_data_is_full) {
  auto cow = cow_of(16);
  auto store = PersistentStore::create(cow, ChunkSize(8));

  EXPECT_FALSE(store->reserve(1).has_value());
  EXPECT_EQ(in_words(store->usage()), "16/16 16");
}

TEST(PersistentStore, one_exception_has_the_kernels_bytes_and_status) {
  auto cow = cow_of(4096);
  auto store = PersistentStore::create(cow, ChunkSize(8));

  EXPECT_EQ(add_and_commit(*store, 7), 2u);

  EXPECT_EQ(hex_at(*cow, 4096, 16), "07000000000000000200000000000000");
  EXPECT_EQ(in_words(store->usage()), "24/4096 16");
}

TEST(PersistentStore, a_batch_is_allocated_at_once_and_written_once) {
  auto counting = std::make_shared<CountingDevice>(cow_of(4096));
  auto store = PersistentStore::create(counting, ChunkSize(8));
  add_and_commit(*store, 7);

  auto reservation = store->reserve(3);
  ASSERT_TRUE(reservation.has_value());
  EXPECT_EQ(reservation->new_chunks, (std::vector<ChunkRange>{{3, 3}}));
  EXPECT_EQ(in_words(store->usage()), "48/4096 16");
  counting->reset_counts();
  store->hand_in(*reservation, {{100, 3, 3}});
  EXPECT_EQ(counting->counts().barriers(), 0u);
  store->commit();

  EXPECT_EQ(counting->counts().durable_writes, 1u);
  EXPECT_EQ(counting->counts().flushes, 1u);
  EXPECT_EQ(hex_at(*counting, 4096 + 16, 48),
            "64000000000000000300000000000000"
            "65000000000000000400000000000000"
            "66000000000000000500000000000000");
}

TEST(PersistentStore, areas_are_crossed_as_the_kernel_does) {
  auto cow = cow_of(200);
  auto store = PersistentStore::create(cow, ChunkSize(1));
  struct {
    uint64_t k;
    uint64_t new_chunk;
    const char* status;
  } const steps[] = {{0, 2, "3/200 2"},
                     {30, 32, "33/200 2"},
                     {31, 33, "35/200 3"},
                     {32, 35, "36/200 3"},
                     {33, 36, "37/200 3"}};

  uint64_t k = 0;
  for (const auto& step : steps) {
    uint64_t new_chunk = 0;
    for (; k <= step.k; ++k) new_chunk = add_and_commit(*store, 1000 + 2 * k);
    EXPECT_EQ(new_chunk, step.new_chunk) << step.k;
    EXPECT_EQ(in_words(store->usage()), step.status) << step.k;
  }

  ExceptionTable table;
  EXPECT_EQ(in_words(load(cow, 1, table)->usage()), "37/200 3");
  EXPECT_EQ(table.size(), 34u);
  EXPECT_EQ(table.find(1066, 1).new_chunk, 36u);
}

TEST(PersistentStore, a_full_area_is_loaded_and_gone_on_from) {
  auto cow = cow_of(200);
  {
    auto store = PersistentStore::create(cow, ChunkSize(1));
    for (uint64_t k = 0; k < 32; ++k) add_and_commit(*store, 1000 + 2 * k);
  }

  ExceptionTable table;
  auto store = load(cow, 1, table);

  EXPECT_EQ(in_words(store->usage()), "35/200 3");
  EXPECT_EQ(add_and_commit(*store, 5), 35u);
  EXPECT_EQ(in_words(store->usage()), "36/200 3");
  EXPECT_EQ(hex_at(*cow, 34 * 512, 16), "05000000000000002300000000000000");
}

TEST(PersistentStore, a_reservation_goes_around_the_metadata) {
  auto cow = cow_of(200);
  auto store = PersistentStore::create(cow, ChunkSize(1));

  auto reservation = store->reserve(100);

  ASSERT_TRUE(reservation.has_value());
  EXPECT_EQ(reservation->new_chunks,
            (std::vector<ChunkRange>{{2, 32}, {35, 32}, {68, 32}, {101, 4}}));
}

TEST(PersistentStore, a_reload_gives_back_every_exception) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (uint64_t sectors : {1u, 8u, 32u}) {
    auto cow = cow_of(3000 * sectors);
    std::vector<uint64_t> old_chunks(2500);
    for (size_t i = 0; i < old_chunks.size(); ++i) old_chunks[i] = 3 * i;
    std::shuffle(old_chunks.begin(), old_chunks.end(), random);
    auto store = PersistentStore::create(cow, ChunkSize(sectors));
    ExceptionTable expected;
    for (uint64_t old_chunk : old_chunks) {
      ASSERT_TRUE(expected.insert({old_chunk, add(*store, old_chunk), 1}));
      if (random() % 50 == 0) store->commit();
      if (random() % 200 == 0) {
        store->commit();
        ExceptionTable found;
        store = load(cow, sectors, found);
        ASSERT_EQ(found.size(), expected.size());
      }
    }
    store->commit();

    ExceptionTable found;
    auto again = load(cow, sectors, found);

    EXPECT_EQ(in_words(again->usage()), in_words(store->usage()));
    ASSERT_EQ(found.size(), expected.size());
    for (uint64_t old_chunk : old_chunks) {
      ASSERT_EQ(found.find(old_chunk, 1).new_chunk,
                expected.find(old_chunk, 1).new_chunk);
    }
  }
}

struct Full {
  uint64_t sectors;
  uint64_t cow_chunks;
  uint64_t fits;
  const char* status;
};

class FullStore : public testing::TestWithParam<Full> {};

// The kernel agrees, but for 258 chunks of 8 sectors and 34 of 1: there it
// becomes invalid with the 256th and the 32nd exception, where we have no room
// for it.
TEST_P(FullStore, takes_what_fits_and_is_valid) {
  const Full& full = GetParam();
  auto cow = cow_of(full.sectors * full.cow_chunks);
  auto store = PersistentStore::create(cow, ChunkSize(full.sectors));
  uint64_t count = 0;
  while (auto reservation = store->reserve(1)) {
    store->hand_in(*reservation,
                   {{count, reservation->new_chunks.front().first, 1}});
    store->commit();
    ++count;
  }

  EXPECT_EQ(count, full.fits);
  EXPECT_EQ(in_words(store->usage()), full.status);
  ExceptionTable table;
  EXPECT_EQ(in_words(load(cow, full.sectors, table)->usage()), full.status);
  EXPECT_EQ(table.size(), full.fits);
}

TEST_P(FullStore, takes_the_same_in_one_reservation) {
  const Full& full = GetParam();
  auto cow = cow_of(full.sectors * full.cow_chunks);
  auto store = PersistentStore::create(cow, ChunkSize(full.sectors));

  EXPECT_FALSE(store->reserve(full.fits + 1).has_value());
  auto reservation = store->reserve(full.fits);

  ASSERT_TRUE(reservation.has_value());
  store->hand_in(*reservation, pair_up({{0, full.fits}}, *reservation));
  store->commit();
  EXPECT_EQ(in_words(store->usage()), full.status);
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, FullStore,
    testing::Values(Full{8, 3, 1, "24/24 16"}, Full{8, 25, 23, "200/200 16"},
                    Full{8, 258, 255, "2056/2064 16"},
                    Full{8, 259, 256, "2072/2072 24"},
                    Full{8, 260, 257, "2080/2080 24"},
                    Full{1, 34, 31, "33/34 2"}, Full{1, 35, 32, "35/35 3"},
                    Full{1, 67, 63, "66/67 3"}, Full{1, 68, 64, "68/68 4"},
                    Full{8, 1030, 1024, "8240/8240 48"}),
    [](const auto& test) {
      return std::to_string(test.param.sectors) + "x" +
             std::to_string(test.param.cow_chunks);
    });

TEST(PersistentStore, growth_lets_the_last_slot_of_an_area_be_used) {
  auto cow = cow_of(34);
  auto store = PersistentStore::create(cow, ChunkSize(1));
  for (uint64_t k = 0; k < 31; ++k) add_and_commit(*store, k);
  ASSERT_FALSE(store->reserve(1).has_value());

  cow->set_size(35 * kSectorBytes);

  EXPECT_EQ(add_and_commit(*store, 31), 33u);
  EXPECT_FALSE(store->reserve(1).has_value());
}

TEST(PersistentStore, slots_in_flight_count_for_the_room_there_is) {
  auto cow = cow_of(34);
  auto store = PersistentStore::create(cow, ChunkSize(1));
  auto in_flight = store->reserve(20);
  ASSERT_TRUE(in_flight.has_value());

  EXPECT_FALSE(store->reserve(12).has_value());
  auto rest = store->reserve(11);

  EXPECT_TRUE(rest.has_value());
}

TEST(PersistentStore, bad_records_are_refused_with_slot_and_place) {
  const std::string failed = ": bad snapshot metadata";
  const DiskRecord good{7, 2};

  EXPECT_EQ(load_error({good, {1000, 3}}),
            "cow: record 1 (at byte 4112): old chunk 1000 lies beyond the end "
            "of the origin" +
                failed);
  EXPECT_EQ(load_error({good, {1, 512}}),
            "cow: record 1 (at byte 4112): new chunk 512 lies beyond the end "
            "of the device" +
                failed);
  EXPECT_EQ(load_error({{1, uint64_t{1} << 56}}),
            "cow: record 0 (at byte 4096): new chunk 72057594037927936 lies "
            "beyond the end of the device" +
                failed);
  EXPECT_EQ(
      load_error({good, {1, 1}}),
      "cow: record 1 (at byte 4112): new chunk 1 is a metadata chunk" + failed);
  EXPECT_EQ(load_error({good, {1, 258}}),
            "cow: record 1 (at byte 4112): new chunk 258 is a metadata chunk" +
                failed);
  EXPECT_EQ(
      load_error({good, {8, 3}, {7, 4}}),
      "cow: record 2 (at byte 4128): old chunk 7 is recorded twice" + failed);
  EXPECT_EQ(load_error({good, {8, 3}, {9, 2}}),
            "cow: new chunk 2 is recorded twice" + failed);
}

TEST(PersistentStore, an_area_of_ones_is_refused) {
  auto cow = cow_with({});
  std::vector<std::byte> ones(4096, std::byte{0xff});
  cow->write(4096, ones);
  ExceptionTable table;

  EXPECT_THROW(load(cow, 8, table), std::system_error);
}

TEST(PersistentStore, the_last_chunks_of_origin_and_device_are_good) {
  EXPECT_EQ(load_error({{999, 511}}), "it loaded");
}

// Kernels before 2014 recorded in the order of completion.
TEST(PersistentStore, new_chunks_out_of_order_load) {
  ExceptionTable table;

  auto store = load(cow_with({{7, 4}, {8, 2}, {9, 3}}), 8, table);

  EXPECT_EQ(table.find(7, 1).new_chunk, 4u);
  EXPECT_EQ(table.find(8, 1).new_chunk, 2u);
  EXPECT_EQ(in_words(store->usage()), "40/4096 16");
  EXPECT_EQ(add_and_commit(*store, 10), 5u);
}

TEST(PersistentStore, gaps_between_new_chunks_load_and_stay_unused) {
  ExceptionTable table;

  auto store = load(cow_with({{7, 2}, {8, 257}}), 8, table);

  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(in_words(store->usage()), "2072/4096 16");
  EXPECT_EQ(add_and_commit(*store, 10), 259u);
}

TEST(PersistentStore, what_follows_the_terminator_is_ignored) {
  ExceptionTable table;

  load(cow_with({{7, 2}, {9, 0}, {8, 3}}), 8, table);

  EXPECT_EQ(table.size(), 1u);
}

TEST(PersistentStore, loading_writes_nothing) {
  auto recording = std::make_shared<Recording>();
  auto cow = std::make_shared<RecordingDevice>(
      cow_with({{7, 2}, {8, 3}, {9, 0}, {5, 5}}), recording);
  ExceptionTable table;

  load(cow, 8, table);

  EXPECT_TRUE(recording->ops().empty());
}

TEST(PersistentStore, a_device_cut_below_its_records_is_refused) {
  auto cow = cow_with({{7, 2}, {8, 3}});
  cow->set_size(3 * 4096);
  ExceptionTable table;

  EXPECT_THROW(load(cow, 8, table), std::system_error);
}

TEST(PersistentStore, the_first_bytes_tell_what_there_is) {
  using Kind = PersistentStore::Probe::Kind;
  auto probe = [](const std::vector<std::byte>& first) {
    auto cow = cow_of(64);
    cow->write(0, first);
    return PersistentStore::probe(*cow).kind;
  };
  std::vector<std::byte> header(kHeaderBytes);
  pack_header({.chunk_sectors = 8}, header);
  std::vector<std::byte> half_zero(16, std::byte{9});
  std::fill_n(half_zero.begin(), 4, std::byte{0});

  EXPECT_EQ(probe(std::vector<std::byte>(512)), Kind::empty);
  EXPECT_EQ(probe(half_zero), Kind::empty);
  EXPECT_EQ(probe(header), Kind::store);
  EXPECT_EQ(probe(std::vector<std::byte>(512, std::byte{0xff})), Kind::foreign);
  EXPECT_EQ(PersistentStore::probe(*cow_of(0)).kind, Kind::empty);
}

TEST(PersistentStore, invalidating_writes_the_header_durably) {
  auto recording = std::make_shared<Recording>();
  auto memory = cow_of(4096);
  auto cow = std::make_shared<RecordingDevice>(memory, recording);
  auto store = PersistentStore::create(cow, ChunkSize(8));
  add_and_commit(*store, 7);
  recording->clear();

  store->invalidate();

  std::vector<RecordedOp> ops = recording->ops();
  ASSERT_EQ(ops.size(), 1u);
  EXPECT_EQ(test::in_words(ops[0]), "write_durable cow 0+512");
  EXPECT_EQ(hex_at(*memory, 0, 16), "536e4170000000000100000008000000");
  EXPECT_EQ(hex_at(*memory, 16, 4080), std::string(2 * 4080, '0'));
  EXPECT_EQ(hex_at(*memory, 4096, 16), "07000000000000000200000000000000");
}

TEST(PersistentStore, a_header_that_cannot_be_written_is_an_error) {
  auto cow = std::make_shared<FaultyDevice>(cow_of(4096));
  auto store = PersistentStore::create(cow, ChunkSize(8));
  cow->inject({.ops = kWriteDurable});

  EXPECT_THROW(store->invalidate(), std::system_error);
}

TEST(PersistentStore, an_exception_is_durable_when_it_was_committed) {
  auto store = PersistentStore::create(cow_of(4096), ChunkSize(8));
  uint64_t first = add(*store, 7);
  EXPECT_FALSE(store->is_durable(first));
  EXPECT_TRUE(store->has_uncommitted());

  store->commit();
  uint64_t second = add(*store, 8);

  EXPECT_TRUE(store->is_durable(first));
  EXPECT_FALSE(store->is_durable(second));
}

TEST(PersistentStore, what_was_loaded_is_durable) {
  ExceptionTable table;
  auto store = load(cow_with({{7, 2}, {8, 9}}), 8, table);

  EXPECT_TRUE(store->is_durable(2));
  EXPECT_TRUE(store->is_durable(9));
  EXPECT_FALSE(store->is_durable(add(*store, 10)));
}

TEST(PersistentStore, abandoned_slots_leave_no_gap_in_the_log) {
  auto cow = cow_of(4096);
  auto store = PersistentStore::create(cow, ChunkSize(8));
  auto lost = store->reserve(3);
  ASSERT_TRUE(lost.has_value());
  uint64_t kept = add(*store, 7);
  store->abandon(*lost);

  store->commit();

  EXPECT_EQ(kept, 5u);
  EXPECT_EQ(hex_at(*cow, 4096, 32),
            "07000000000000000500000000000000" + std::string(32, '0'));
  ExceptionTable table;
  EXPECT_EQ(in_words(load(cow, 8, table)->usage()), "48/4096 16");
}

TEST(PersistentStore, abandoning_everything_costs_no_record) {
  auto counting = std::make_shared<CountingDevice>(cow_of(4096));
  auto store = PersistentStore::create(counting, ChunkSize(8));
  auto lost = store->reserve(3);
  store->abandon(*lost);
  EXPECT_FALSE(store->has_uncommitted());
  counting->reset_counts();

  store->commit();

  EXPECT_EQ(counting->counts().durable_writes, 0u);
  EXPECT_EQ(counting->counts().flushes, 1u);
}

// Threads that commit a store whose device can be held.
class CommitGroup : public testing::Test {
 protected:
  ~CommitGroup() override {
    counting_->release();
    store_->invalidate();  // nobody waits for reservations any more
  }

  const std::atomic<bool>& commit_in_a_thread() {
    return threads_.start([this] { store_->commit(); });
  }

  std::shared_ptr<MemoryDevice> memory_ = cow_of(4096);
  std::shared_ptr<CountingDevice> counting_ =
      std::make_shared<CountingDevice>(memory_);
  std::unique_ptr<PersistentStore> store_ =
      PersistentStore::create(counting_, ChunkSize(8));
  TestThreads threads_;  // last: joined while everything above exists
};

TEST_F(CommitGroup, followers_share_the_commit_after_the_one_under_way) {
  add(*store_, 0);
  counting_->hold(kFlush);
  const std::atomic<bool>& leader = commit_in_a_thread();
  counting_->wait_until_held(kFlush, 1);
  std::vector<const std::atomic<bool>*> followers;
  for (uint64_t i = 0; i < 8; ++i) {
    add(*store_, 1 + i);
    followers.push_back(&commit_in_a_thread());
  }
  give_others_time();
  counting_->reset_counts();

  counting_->release_held(kFlush);
  eventually([&] { return leader.load(); });
  counting_->wait_until_held(kFlush, 1);
  for (const auto* follower : followers) EXPECT_FALSE(*follower);
  counting_->release(kFlush);
  for (const auto* follower : followers) {
    eventually([&] { return follower->load(); });
  }

  EXPECT_LE(counting_->counts().flushes, 2u);
  ExceptionTable table;
  load(memory_, 8, table);
  EXPECT_EQ(table.size(), 9u);
}

TEST_F(CommitGroup, data_written_during_a_flush_is_not_taken_for_durable) {
  counting_->hold(kFlush);
  const std::atomic<bool>& leader = commit_in_a_thread();
  counting_->wait_until_held(kFlush, 1);

  // Nothing is handed in, but what was written by now needs a flush of its own.
  const std::atomic<bool>& follower = commit_in_a_thread();
  counting_->release_held(kFlush);

  eventually([&] { return leader.load(); });
  counting_->wait_until_held(kFlush, 1);
  EXPECT_FALSE(follower);
  counting_->release(kFlush);
  eventually([&] { return follower.load(); });
}

TEST_F(CommitGroup, an_incomplete_reservation_holds_up_those_behind_it) {
  auto copying = store_->reserve(1);
  ASSERT_TRUE(copying.has_value());
  uint64_t behind = add(*store_, 7);
  counting_->reset_counts();
  const std::atomic<bool>& done = commit_in_a_thread();
  give_others_time();
  EXPECT_FALSE(done);
  EXPECT_EQ(counting_->counts().barriers(), 0u) << "it waits, it does not try";
  EXPECT_FALSE(store_->is_durable(behind));

  store_->hand_in(*copying, {{3, copying->new_chunks.front().first, 1}});

  eventually([&] { return done.load(); });
  EXPECT_TRUE(store_->is_durable(behind));
  EXPECT_EQ(hex_at(*memory_, 4096, 32),
            "03000000000000000200000000000000"
            "07000000000000000300000000000000");
}

TEST_F(CommitGroup, an_incomplete_reservation_behind_holds_nobody_up) {
  add(*store_, 7);
  auto copying = store_->reserve(1);
  ASSERT_TRUE(copying.has_value());

  store_->commit();

  EXPECT_TRUE(store_->is_durable(2));
  store_->abandon(*copying);
}

TEST_F(CommitGroup, abandoning_lets_those_behind_go_on) {
  auto copying = store_->reserve(1);
  ASSERT_TRUE(copying.has_value());
  add(*store_, 7);
  const std::atomic<bool>& done = commit_in_a_thread();
  give_others_time();
  EXPECT_FALSE(done);

  store_->abandon(*copying);

  eventually([&] { return done.load(); });
}

TEST_F(CommitGroup, invalidating_lets_those_who_wait_go) {
  auto copying = store_->reserve(1);
  ASSERT_TRUE(copying.has_value());
  add(*store_, 7);
  const std::atomic<bool>& done = commit_in_a_thread();
  give_others_time();

  store_->invalidate();

  eventually([&] { return done.load(); });
  store_->abandon(*copying);
}

TEST_F(CommitGroup, readers_of_the_watermark_wait_for_no_commit) {
  uint64_t chunk = add(*store_, 7);
  counting_->hold(kWriteDurable);
  commit_in_a_thread();
  counting_->wait_until_held(kWriteDurable, 1);

  EXPECT_FALSE(store_->is_durable(chunk));
  EXPECT_EQ(in_words(store_->usage()), "24/4096 16");
  EXPECT_TRUE(store_->reserve(1).has_value());
}

TEST(PersistentStoreFailure, a_failed_commit_is_final) {
  for (unsigned op : {kFlush, kWriteDurable}) {
    auto cow = std::make_shared<FaultyDevice>(cow_of(4096));
    auto store = PersistentStore::create(cow, ChunkSize(8));
    add_and_commit(*store, 1);
    uint64_t lost = add(*store, 2);
    cow->inject({.ops = op});
    EXPECT_THROW(store->commit(), std::system_error);
    cow->heal();

    EXPECT_THROW(store->commit(), std::system_error);
    add(*store, 3);
    EXPECT_THROW(store->commit(), std::system_error);
    EXPECT_FALSE(store->is_durable(lost));
    EXPECT_FALSE(store->has_uncommitted());
    ExceptionTable table;
    load(cow, 8, table);
    EXPECT_EQ(table.size(), 1u) << "something was recorded after the failure";
  }
}

TEST(PersistentStoreFailure, everybody_who_waits_learns_of_it) {
  auto faulty = std::make_shared<FaultyDevice>(cow_of(4096));
  auto counting = std::make_shared<CountingDevice>(faulty);
  auto store = PersistentStore::create(counting, ChunkSize(8));
  faulty->inject({.ops = kFlush});
  counting->hold(kFlush);
  std::atomic<unsigned> failed{0};
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      try {
        add_and_commit(*store, i);
      } catch (const std::system_error&) {
        ++failed;
      }
    });
  }
  counting->wait_until_held(kFlush, 1);
  eventually([&] { return store->usage().allocated == 16 + 8 * 8; });
  give_others_time();

  counting->release(kFlush);
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(failed, 8u);
}

// What a commit acknowledged is there after a power cut at any point, every
// record that can be read has its chunk's data, and the store loads.
TEST(PersistentStoreFailure, a_power_cut_loses_nothing_acknowledged) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  auto memory = cow_of(200);
  auto recording = std::make_shared<Recording>();
  auto cow = std::make_shared<RecordingDevice>(memory, recording);
  auto store = PersistentStore::create(cow, ChunkSize(1));
  std::vector<std::byte> before = memory->content();
  recording->clear();

  struct Step {
    size_t ops;  // how many there were when the commit returned
    uint64_t exceptions;
  };
  std::vector<Step> steps;
  uint64_t next_old = 0;
  while (next_old < 120) {
    auto reservation = store->reserve(1 + random() % 40);
    if (!reservation) break;
    if (random() % 6 == 0) {
      store->abandon(*reservation);
      continue;
    }
    uint64_t count = 0;
    for (const ChunkRange& range : reservation->new_chunks) {
      count += range.count;
    }
    auto runs = pair_up({{next_old, count}}, *reservation);
    for (const ExceptionRun& run : runs) {
      cow->write(run.new_chunk * kSectorBytes,
                 stamped(run.old_chunk, run.count, 1));
    }
    store->hand_in(*reservation, runs);
    next_old += count;
    if (random() % 2 == 0) continue;
    store->commit();
    steps.push_back({recording->ops().size(), next_old});
  }
  std::vector<RecordedOp> ops = recording->ops();

  for (size_t cut = 0; cut <= ops.size(); ++cut) {
    uint64_t acknowledged = 0;
    for (const Step& step : steps) {
      if (step.ops < cut) acknowledged = step.exceptions;
    }
    for (int round = 0; round < 5; ++round) {
      auto after = cow_of(200);
      after->write(0, after_power_cut(before, ops, cut, [&](size_t, uint64_t) {
                     return random() % 2 == 0;
                   }));
      ExceptionTable table;
      ASSERT_NO_THROW(load(after, 1, table)) << "cut at " << cut;
      ASSERT_GE(table.size(), acknowledged) << "cut at " << cut;
      for (uint64_t old_chunk = 0; old_chunk < table.size(); ++old_chunk) {
        auto found = table.find(old_chunk, 1);
        ASSERT_TRUE(found.excepted) << "not a prefix; cut at " << cut;
        ASSERT_EQ(
            stamp_difference(read_range(*after, {found.new_chunk * kSectorBytes,
                                                 kSectorBytes}),
                             old_chunk, 1),
            "")
            << "cut at " << cut;
      }
    }
  }
}

std::string in_words(const std::vector<ExceptionRun>& runs) {
  std::string text;
  for (const ExceptionRun& run : runs) {
    text += (text.empty() ? "" : ", ") + std::to_string(run.old_chunk) + "->" +
            std::to_string(run.new_chunk) + "x" + std::to_string(run.count);
  }
  return text;
}

uint64_t chunks_of(const std::vector<ExceptionRun>& runs) {
  uint64_t count = 0;
  for (const ExceptionRun& run : runs) count += run.count;
  return count;
}

// Vector 14.4 of the format: what the kernel merges of this store, step by
// step, and the status that it shows after each.
TEST(PersistentStoreMerge, takes_runs_from_the_end_as_the_kernel_does) {
  auto cow = cow_of(4096);
  auto store = PersistentStore::create(cow, ChunkSize(8));
  add_and_commit(*store, 7);
  for (uint64_t old_chunk : {100u, 101u, 102u}) add(*store, old_chunk);
  store->commit();
  EXPECT_EQ(in_words(store->usage()), "48/4096 16");

  EXPECT_EQ(in_words(store->last_recorded({100, 1})), "100->3x3");
  store->unrecord(3);
  EXPECT_EQ(in_words(store->usage()), "24/4096 16");
  EXPECT_EQ(in_words(store->last_recorded({100, 1})), "7->2x1");
  store->unrecord(1);
  EXPECT_EQ(in_words(store->usage()), "16/4096 16");
  EXPECT_TRUE(store->last_recorded({100, 1}).empty());
}

TEST(PersistentStoreMerge, gives_several_runs_last_first_within_the_limits) {
  auto cow = cow_of(4096);
  auto store = PersistentStore::create(cow, ChunkSize(8));
  for (uint64_t old_chunk : {9u, 50u, 51u, 52u, 20u, 19u})
    add(*store, old_chunk);
  store->commit();

  EXPECT_EQ(in_words(store->last_recorded({100, 100})),
            "19->7x1, 20->6x1, 50->3x3, 9->2x1");
  EXPECT_EQ(in_words(store->last_recorded({100, 3})),
            "19->7x1, 20->6x1, 50->3x3");
  EXPECT_EQ(in_words(store->last_recorded({4, 100})),
            "19->7x1, 20->6x1, 51->4x2");
}

// Vector 14.5: 33 scattered exceptions in chunks of one sector.
TEST(PersistentStoreMerge, usage_shrinks_through_areas_as_the_kernels) {
  auto cow = cow_of(200);
  auto store = PersistentStore::create(cow, ChunkSize(1));
  for (uint64_t k = 0; k < 33; ++k) add_and_commit(*store, 1000 + 2 * k);
  EXPECT_EQ(in_words(store->usage()), "36/200 3");

  std::vector<std::string> found;
  for (unsigned i = 0; i < 3; ++i) {
    store->unrecord(chunks_of(store->last_recorded({1, 1})));
    found.push_back(in_words(store->usage()));
  }

  EXPECT_EQ(found,
            (std::vector<std::string>{"35/200 3", "33/200 2", "32/200 2"}));
}

TEST(PersistentStoreMerge, a_full_area_is_one_run) {
  auto cow = cow_of(200);
  auto store = PersistentStore::create(cow, ChunkSize(1));
  for (uint64_t k = 0; k < 32; ++k) add_and_commit(*store, k);
  EXPECT_EQ(in_words(store->usage()), "35/200 3");

  EXPECT_EQ(in_words(store->last_recorded({100, 100})), "0->2x32");
  store->unrecord(32);

  EXPECT_EQ(in_words(store->usage()), "2/200 2");
}

TEST(PersistentStoreMerge, what_is_left_loads_with_the_same_usage) {
  auto cow = cow_of(400);
  auto store = PersistentStore::create(cow, ChunkSize(1));
  for (uint64_t k = 0; k < 100; ++k) add(*store, 3 * k);
  store->commit();

  while (true) {
    std::vector<ExceptionRun> runs = store->last_recorded({5, 5});
    if (runs.empty()) break;
    store->unrecord(chunks_of(runs));
    ExceptionTable table;
    auto loaded = load(cow, 1, table);
    ASSERT_EQ(in_words(loaded->usage()), in_words(store->usage()));
  }
  EXPECT_EQ(in_words(store->usage()), "2/400 2");
}

// An abandoned chunk leaves a gap; behind it the highest chunk in use counts.
TEST(PersistentStoreMerge, next_free_is_behind_the_highest_chunk_left) {
  auto cow = cow_of(4096);
  auto store = PersistentStore::create(cow, ChunkSize(8));
  add(*store, 1);  // in chunk 2
  store->abandon(*store->reserve(5));
  add(*store, 2);  // in chunk 8
  store->commit();

  store->unrecord(chunks_of(store->last_recorded({1, 1})));

  EXPECT_EQ(in_words(store->usage()), "24/4096 16");
}

TEST(PersistentStoreMerge, old_stores_whose_chunks_do_not_ascend_stay_safe) {
  auto cow = cow_with({{1, 5}, {2, 2}, {3, 4}});
  ExceptionTable table;
  auto store = load(cow, 8, table, 1000);

  store->unrecord(chunks_of(store->last_recorded({1, 1})));
  EXPECT_EQ(in_words(store->usage()), "48/4096 16");
  EXPECT_EQ(in_words(store->last_recorded({9, 9})), "2->2x1, 1->5x1");
  store->unrecord(2);

  EXPECT_EQ(in_words(store->usage()), "16/4096 16");
}

TEST(PersistentStoreMerge, a_store_that_was_merged_takes_exceptions_again) {
  auto cow = cow_of(4096);
  auto store = PersistentStore::create(cow, ChunkSize(8));
  for (uint64_t old_chunk : {1u, 2u, 3u}) add(*store, old_chunk);
  store->commit();
  store->unrecord(chunks_of(store->last_recorded({2, 9})));

  EXPECT_EQ(add_and_commit(*store, 9), 3u);

  EXPECT_TRUE(store->is_durable(3));
  ExceptionTable table;
  load(cow, 8, table);
  EXPECT_EQ(table.size(), 2u);
}

}  // namespace
}  // namespace snapfs::test

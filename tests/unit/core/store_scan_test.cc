// SPDX-License-Identifier: MIT
#include "core/store_scan.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/support/faulty_device.h"
#include "tests/support/plain_store.h"

namespace snapfs::test {
namespace {

struct Seen {
  std::vector<DiskRecord> records;
  std::vector<uint64_t> behind;
  LogEnd end;
};

Seen scan(BlockDevice& device, StoreLayout layout) {
  Seen seen;
  seen.end = scan_log(
      device, layout,
      [&](uint64_t slot, const DiskRecord& record) {
        EXPECT_EQ(slot, seen.records.size());
        seen.records.push_back(record);
      },
      [&](uint64_t slot, const DiskRecord&) { seen.behind.push_back(slot); });
  return seen;
}

TEST(StoreScan, empty_log_ends_at_its_first_record) {
  PlainStore store(8, 20);

  const Seen seen = scan(store.device(), store.layout());

  EXPECT_EQ(seen.end.kind, LogEnd::Kind::found);
  EXPECT_EQ(seen.end.slot, 0u);
  EXPECT_EQ(seen.end.offset, 4096u);
}

TEST(StoreScan, log_goes_on_in_the_next_area) {
  PlainStore store(1, 200);
  store.add_sound(70);

  const Seen seen = scan(store.device(), store.layout());

  ASSERT_EQ(seen.records.size(), 70u);
  EXPECT_EQ(seen.records[69].old_chunk, 3u + 2 * 69);
  EXPECT_EQ(seen.end.offset, store.layout().slot_offset(70));
  EXPECT_TRUE(seen.behind.empty());
}

TEST(StoreScan, what_lies_behind_the_end_is_told_apart) {
  PlainStore store(8, 300);
  store.add_sound(3);
  store.put(3, {77, 0});
  store.put(5, {9, 4});
  store.put(255, {1, 2});

  const Seen seen = scan(store.device(), store.layout());

  EXPECT_EQ(seen.records.size(), 3u);
  EXPECT_EQ(seen.behind, (std::vector<uint64_t>{3, 5, 255}));
  EXPECT_EQ(seen.end.behind, 3u);
}

TEST(StoreScan, full_area_without_the_next_one_has_no_end) {
  PlainStore store(1, 34);
  store.add_sound(32);

  const Seen seen = scan(store.device(), store.layout());

  EXPECT_EQ(seen.end.kind, LogEnd::Kind::beyond_device);
  EXPECT_EQ(seen.end.slot, 32u);
  EXPECT_EQ(seen.end.offset, 34u * 512);
}

TEST(StoreScan, device_that_fails_ends_it_with_what_was_read) {
  PlainStore store(1, 200);
  store.add_sound(70);
  FaultyDevice faulty(store.shared());
  faulty.inject({.ops = kAnyOp, .range = ByteRange{67 * 512, 512}});

  const Seen seen = scan(faulty, store.layout());

  EXPECT_EQ(seen.end.kind, LogEnd::Kind::unreadable);
  EXPECT_EQ(seen.records.size(), 64u);
  EXPECT_EQ(seen.end.offset, 67u * 512);
  EXPECT_NE(seen.end.error, "");
}

// A petabyte that claims the largest chunks: only what is there is read.
TEST(StoreScan, areas_are_not_held_in_memory) {
  MemoryDevice device(uint64_t{1} << 50, "huge");

  const LogEnd end = scan_log(device, StoreLayout(ChunkSize(kMaxChunkSectors)),
                              nullptr, nullptr);

  EXPECT_EQ(end.slot, 0u);
}

TEST(HeaderSector, device_shorter_than_a_sector_has_none) {
  MemoryDevice device(0, "empty");
  EXPECT_FALSE(read_header_sector(device));
}

}  // namespace
}  // namespace snapfs::test

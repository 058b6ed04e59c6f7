// SPDX-License-Identifier: MIT
#include "core/store_repair.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "core/error.h"
#include "tests/support/faulty_device.h"
#include "tests/support/plain_store.h"

namespace snapfs::test {
namespace {

const FindingSink kNoSink = [](const Finding&) {};

// Old chunks of the records, in their order; each record's data must be that
// which PlainStore has stamped for it.
std::vector<uint64_t> old_chunks(BlockDevice& device, StoreLayout layout) {
  std::vector<uint64_t> found;
  const ChunkSize chunk = layout.chunk_size();
  scan_log(
      device, layout,
      [&](uint64_t, const DiskRecord& record) {
        found.push_back(record.old_chunk);
        std::vector<std::byte> data(chunk.bytes());
        device.read(chunk.start_of(record.new_chunk), data);
        EXPECT_EQ(data, stamped(record.old_chunk, chunk.sectors(), 7))
            << record.old_chunk;
      },
      nullptr);
  return found;
}

void expect_clean(BlockDevice& device) {
  const StoreCheck check = check_store(device, {}, [](const Finding& finding) {
    ADD_FAILURE() << name_of(finding.kind) << ": " << finding.text;
  });
  EXPECT_EQ(check.errors, 0u);
}

// Three sound records, and between them what is not.
void damage(PlainStore& store) {
  store.add_sound(2);
  store.add({500, 1});        // a metadata chunk
  store.add({3, 5});          // old chunk again
  store.add({501, 1 << 20});  // beyond
  store.add_sound(1);
  store.put(store.records() + 2, {8, 9});  // dead
}

TEST(StoreRepair, copy_has_what_is_sound) {
  PlainStore store(8, 300);
  damage(store);
  const StoreCheck check = check_store(store.device(), {}, kNoSink);
  MemoryDevice copy(store.device().size(), "copy");

  const RepairResult result =
      repair_to(store.device(), check, true, copy, true, kNoSink, nullptr);

  EXPECT_EQ(result.kept, 3u);
  expect_clean(copy);
  EXPECT_EQ(old_chunks(copy, store.layout()),
            (std::vector<uint64_t>{3, 5, 3 + 2 * 5}));
}

TEST(StoreRepair, original_of_a_copy_is_only_read) {
  PlainStore store(8, 300);
  damage(store);
  const auto before = store.device().content();
  const StoreCheck check = check_store(store.device(), {}, kNoSink);
  MemoryDevice copy(repaired_bytes(check), "copy");

  repair_to(store.device(), check, true, copy, true, kNoSink, nullptr);

  EXPECT_EQ(store.device().content(), before);
}

TEST(StoreRepair, copy_overwrites_what_was_there) {
  PlainStore store(8, 300);
  damage(store);
  // A chunk of zeroes, which may not be skipped here.
  const uint64_t zeroes = store.data_chunk(store.records());
  store.add({600, zeroes});
  const StoreCheck check = check_store(store.device(), {}, kNoSink);
  MemoryDevice copy(repaired_bytes(check), "copy");
  copy.write(0, std::vector<std::byte>(copy.size(), std::byte{0xff}));

  const RepairResult result =
      repair_to(store.device(), check, true, copy, false, kNoSink, nullptr);

  EXPECT_EQ(result.kept, 4u);
  expect_clean(copy);
  std::vector<std::byte> data(4096);
  copy.read(uint64_t{5} * 4096, data);
  EXPECT_EQ(data, std::vector<std::byte>(4096));
}

TEST(StoreRepair, copy_crosses_areas_and_packs_them) {
  PlainStore store(1, 300);
  store.add_sound(100);
  for (uint64_t slot : {0u, 1u, 31u, 32u, 64u, 99u}) store.put(slot, {9999, 1});
  const StoreCheck check = check_store(store.device(), {}, kNoSink);
  MemoryDevice copy(repaired_bytes(check), "copy");

  repair_to(store.device(), check, true, copy, true, kNoSink, nullptr);

  expect_clean(copy);
  const auto found = old_chunks(copy, store.layout());
  ASSERT_EQ(found.size(), 94u);
  EXPECT_EQ(found[0], 3u + 2 * 2);
  EXPECT_EQ(found[93], 3u + 2 * 98);
}

TEST(StoreRepair, chunks_larger_than_the_buffer) {
  PlainStore store(4096, 5);
  store.add_sound(2);
  const StoreCheck check = check_store(store.device(), {}, kNoSink);
  MemoryDevice copy(repaired_bytes(check), "copy");

  repair_to(store.device(), check, true, copy, true, kNoSink, nullptr);

  EXPECT_EQ(old_chunks(copy, store.layout()), (std::vector<uint64_t>{3, 5}));
}

TEST(StoreRepair, chunk_that_cannot_be_read_is_left_out_and_told) {
  PlainStore store(8, 300);
  store.add_sound(10);
  const StoreCheck check = check_store(store.device(), {}, kNoSink);
  MemoryDevice copy(repaired_bytes(check), "copy");
  FaultyDevice faulty(store.shared());
  faulty.inject({.ops = kAnyOp,
                 .range = ByteRange{store.data_chunk(4) * 4096 + 512, 512},
                 .skip = 0,
                 .error = EIO,
                 .for_ever = true});
  std::vector<uint64_t> told;

  const RepairResult result = repair_to(
      faulty, check, true, copy, true,
      [&](const Finding& finding) {
        EXPECT_EQ(finding.kind, Finding::Kind::unreadable);
        told.push_back(*finding.slot);
      },
      nullptr);

  EXPECT_EQ(result.kept, 9u);
  EXPECT_EQ(result.unreadable, 1u);
  EXPECT_EQ(told, std::vector<uint64_t>{4});
  expect_clean(copy);
  EXPECT_EQ(old_chunks(copy, store.layout()).size(), 9u);
}

TEST(StoreRepair, validity_is_what_it_is_told) {
  PlainStore store(8, 300);
  const StoreCheck check = check_store(store.device(), {}, kNoSink);
  MemoryDevice copy(repaired_bytes(check), "copy");

  repair_to(store.device(), check, false, copy, true, kNoSink, nullptr);

  EXPECT_EQ(read_header_sector(copy)->header().valid, 0u);
}

// Wherever progress ends it: nobody loads what is there.
TEST(StoreRepair, copy_that_is_ended_is_no_store) {
  PlainStore store(8, 300);
  store.add_sound(10);
  const StoreCheck check = check_store(store.device(), {}, kNoSink);
  MemoryDevice copy(repaired_bytes(check), "copy");

  EXPECT_THROW(
      repair_to(store.device(), check, true, copy, true, kNoSink,
                [](uint64_t, uint64_t) { throw std::runtime_error("enough"); }),
      std::runtime_error);

  EXPECT_NE(read_header_sector(copy)->header().version, kDiskVersion);
}

TEST(StoreRepair, in_place_leaves_data_where_it_is) {
  PlainStore store(8, 300);
  damage(store);
  const StoreCheck check = check_store(store.device(), {}, kNoSink);

  const RepairResult result = repair_in_place(store.device(), check, true);

  EXPECT_EQ(result.kept, 3u);
  expect_clean(store.device());
  EXPECT_EQ(old_chunks(store.device(), store.layout()),
            (std::vector<uint64_t>{3, 5, 3 + 2 * 5}));
}

// The areas are read and written at once.
TEST(StoreRepair, in_place_across_many_areas) {
  for (uint64_t chunk_sectors : {1u, 8u}) {
    SCOPED_TRACE(chunk_sectors);
    const uint64_t count = chunk_sectors * 32 * 4;
    PlainStore store(chunk_sectors, count + 10);
    store.add_sound(count);
    std::vector<uint64_t> wanted;
    for (uint64_t slot = 0; slot < count; ++slot) {
      if (slot % 7 == 3) {
        store.put(slot, {9999, 1});
      } else {
        wanted.push_back(3 + 2 * slot);
      }
    }
    const StoreCheck check = check_store(store.device(), {}, kNoSink);

    repair_in_place(store.device(), check, true);

    expect_clean(store.device());
    EXPECT_EQ(old_chunks(store.device(), store.layout()), wanted);
  }
}

TEST(StoreRepair, in_place_makes_room_for_the_end_of_the_log) {
  PlainStore store(1, 34);
  store.add_sound(32);
  const StoreCheck check = check_store(store.device(), {}, kNoSink);
  EXPECT_EQ(check.errors, 1u);

  repair_in_place(store.device(), check, true);

  EXPECT_EQ(store.device().size(), 35u * 512);
  expect_clean(store.device());
  EXPECT_EQ(old_chunks(store.device(), store.layout()).size(), 32u);
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "core/store_writer.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "core/persistent_store.h"
#include "core/store_check.h"
#include "tests/support/faulty_device.h"
#include "tests/support/plain_store.h"

namespace snapfs::test {
namespace {

HeaderSector header_of(BlockDevice& device) {
  return *read_header_sector(device);
}

// Everything that is not zero in its metadata comes back on a device of ones.
void expect_copied(PlainStore& store) {
  const ChunkSize chunk = store.layout().chunk_size();
  const uint64_t areas = store.layout().area_of_slot(store.records()) + 1;
  MemoryDevice copy(store.device().size(), "copy");
  const std::vector<std::byte> ones(chunk.bytes(), std::byte{0xff});
  copy.write(0, ones);
  copy.write(chunk.start_of(2), ones);
  for (uint64_t area = 0; area < areas; ++area)
    copy.write(chunk.start_of(store.layout().area_chunk(area)), ones);
  StoreWriter writer(copy, store.layout());
  writer.begin();
  scan_log(
      store.device(), store.layout(),
      [&](uint64_t, const DiskRecord& record) { writer.append(record); },
      nullptr);
  scan_log(store.device(), store.layout(), nullptr,
           [&](uint64_t slot, const DiskRecord& record) {
             writer.append_behind(slot, record);
           });
  writer.finish(header_of(store.device()));

  EXPECT_EQ(header_of(copy).bytes, header_of(store.device()).bytes);
  for (uint64_t area = 0; area < areas; ++area) {
    std::vector<std::byte> wanted(chunk.bytes());
    std::vector<std::byte> found(chunk.bytes());
    const uint64_t at = chunk.start_of(store.layout().area_chunk(area));
    store.device().read(at, wanted);
    copy.read(at, found);
    EXPECT_EQ(found, wanted) << "area " << area;
  }
  // The data chunks are not its business.
  std::vector<std::byte> data(chunk.bytes());
  copy.read(chunk.start_of(2), data);
  EXPECT_EQ(data, ones);
}

TEST(StoreWriter, metadata_is_the_same_byte_by_byte) {
  for (uint64_t chunk_sectors : {1u, 8u, 256u}) {
    SCOPED_TRACE(chunk_sectors);
    const uint64_t per_area = chunk_sectors * 32;
    for (uint64_t count : {uint64_t{0}, uint64_t{1}, per_area - 1, per_area,
                           per_area + 1, 2 * per_area}) {
      SCOPED_TRACE(count);
      PlainStore store(chunk_sectors, 3 * per_area + 5);
      store.add_records(count);
      expect_copied(store);
    }
  }
}

TEST(StoreWriter, dead_records_come_back_as_well) {
  PlainStore store(256, 9000);
  store.add_records(5000);
  store.put(5000, {99, 0});
  store.put(5001, {1, 2});
  store.put(8191, {3, 4});
  expect_copied(store);
}

TEST(StoreWriter, dead_records_behind_a_full_area) {
  PlainStore store(256, 9000);
  store.add_records(8192);
  store.put(8192 + 5000, {1, 2});
  expect_copied(store);
}

// Wherever it stops, nobody loads half of it.
TEST(StoreWriter, cut_leaves_no_store_or_all_of_it) {
  PlainStore old(1, 200);
  old.add_sound(70);
  PlainStore wanted(1, 200);
  for (uint64_t i = 0; i < 70; ++i) wanted.add({1000 + i, old.data_chunk(i)});

  for (uint64_t writes = 0;; ++writes) {
    auto device = std::make_shared<MemoryDevice>(old.device().size(), "cow");
    device->write(0, old.device().content());
    FaultyDevice faulty(device);
    faulty.inject({.ops = kAnyWrite, .skip = writes, .for_ever = true});
    bool done = true;
    try {
      StoreWriter writer(faulty, old.layout());
      writer.begin();
      for (uint64_t i = 0; i < 70; ++i)
        writer.append({1000 + i, old.data_chunk(i)});
      writer.finish(header_of(old.device()));
    } catch (const std::system_error&) {
      done = false;
    }
    const DiskHeader header = header_of(*device).header();
    if (done) {
      EXPECT_EQ(header.version, kDiskVersion);
      break;
    }
    // The first write is the one that makes it unloadable.
    EXPECT_EQ(header.version, writes == 0 ? kDiskVersion : 0u) << writes;
    EXPECT_EQ(header.magic, kMagic);
  }
}

TEST(StoreWriter, needed_bytes_hold_the_end_of_the_log) {
  const StoreLayout layout(ChunkSize(1));
  EXPECT_EQ(StoreWriter::needed_bytes(layout, 0, 0), 2u * 512);
  EXPECT_EQ(StoreWriter::needed_bytes(layout, 31, 33), 33u * 512);
  EXPECT_EQ(StoreWriter::needed_bytes(layout, 32, 34), 35u * 512);
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "core/disk_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace snapfs::test {
namespace {

// "536e4170 01000000" ...
std::string hex(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i != 0 && i % 4 == 0) text += ' ';
    auto value = std::to_integer<unsigned>(bytes[i]);
    text += kDigits[value >> 4];
    text += kDigits[value & 15];
  }
  return text;
}

std::string packed(const DiskHeader& header) {
  std::vector<std::byte> bytes(kHeaderBytes);
  pack_header(header, bytes);
  return hex(bytes);
}

std::string packed(const DiskRecord& record) {
  std::vector<std::byte> bytes(kRecordBytes);
  pack_record(record, bytes);
  return hex(bytes);
}

StoreLayout layout(uint64_t sectors) { return StoreLayout(ChunkSize(sectors)); }

TEST(DiskFormat, headers_are_the_kernels_bytes) {
  EXPECT_EQ(packed(DiskHeader{.chunk_sectors = 8}),
            "536e4170 01000000 01000000 08000000");
  EXPECT_EQ(packed(DiskHeader{.chunk_sectors = 1}),
            "536e4170 01000000 01000000 01000000");
  EXPECT_EQ(packed(DiskHeader{.valid = 0, .chunk_sectors = 8}),
            "536e4170 00000000 01000000 08000000");
  EXPECT_EQ(packed(DiskHeader{.chunk_sectors = 1 << 21}),
            "536e4170 01000000 01000000 00002000");
}

TEST(DiskFormat, records_are_the_kernels_bytes) {
  EXPECT_EQ(packed(DiskRecord{7, 2}), "07000000 00000000 02000000 00000000");
  EXPECT_EQ(packed(DiskRecord{0x0102030405060708, 0x1112131415161718}),
            "08070605 04030201 18171615 14131211");
}

TEST(DiskFormat, a_header_is_read_back_as_it_was_written) {
  std::vector<std::byte> bytes(kHeaderBytes);
  pack_header({0x12345678, 2, 0xfffffffe, 12}, bytes);

  DiskHeader header = unpack_header(bytes);

  EXPECT_EQ(header.magic, 0x12345678u);
  EXPECT_EQ(header.valid, 2u);
  EXPECT_EQ(header.version, 0xfffffffeu);
  EXPECT_EQ(header.chunk_sectors, 12u);
}

TEST(DiskFormat, a_record_is_read_back_as_it_was_written) {
  std::vector<std::byte> bytes(kRecordBytes);
  pack_record({uint64_t{1} << 63, ~uint64_t{0}}, bytes);

  DiskRecord record = unpack_record(bytes);

  EXPECT_EQ(record.old_chunk, uint64_t{1} << 63);
  EXPECT_EQ(record.new_chunk, ~uint64_t{0});
}

// What the kernel's arithmetic gives for a chunk size: where the first areas
// are, and where the data of exceptions E-1, E and 2E lies if there are no
// gaps.
struct Vector {
  uint64_t sectors;
  uint64_t chunk_bytes;
  uint64_t records;
  uint64_t areas[4];
  uint64_t data[3];
};

class Layout : public testing::TestWithParam<Vector> {};

TEST_P(Layout, areas_are_where_the_kernel_has_them) {
  const Vector& expected = GetParam();
  StoreLayout found = layout(expected.sectors);

  EXPECT_EQ(found.chunk_size().bytes(), expected.chunk_bytes);
  EXPECT_EQ(found.records_per_area(), expected.records);
  for (uint64_t area = 0; area < 4; ++area) {
    EXPECT_EQ(found.area_chunk(area), expected.areas[area]) << area;
    EXPECT_TRUE(found.is_metadata_chunk(expected.areas[area]));
    EXPECT_FALSE(found.is_metadata_chunk(expected.areas[area] + 1));
    EXPECT_EQ(found.area_of_slot(area * expected.records), area);
    EXPECT_EQ(found.area_of_slot((area + 1) * expected.records - 1), area);
    EXPECT_EQ(found.slot_offset(area * expected.records),
              expected.areas[area] * expected.chunk_bytes);
    EXPECT_EQ(found.slot_offset(area * expected.records + 3),
              expected.areas[area] * expected.chunk_bytes + 3 * kRecordBytes);
  }
}

TEST_P(Layout, data_goes_around_the_areas) {
  const Vector& expected = GetParam();
  StoreLayout found = layout(expected.sectors);
  const uint64_t records = expected.records;

  uint64_t chunk = kFirstDataChunk;
  for (uint64_t k = 0; k <= 2 * records; ++k) {
    ASSERT_EQ(chunk, k + 2 + k / records) << k;
    if (k == records - 1) {
      EXPECT_EQ(chunk, expected.data[0]);
    }
    if (k == records) {
      EXPECT_EQ(chunk, expected.data[1]);
    }
    if (k == 2 * records) {
      EXPECT_EQ(chunk, expected.data[2]);
    }
    chunk = found.skip_metadata(chunk + 1);
  }
}

TEST_P(Layout, the_next_area_of_each_data_chunk_is_told) {
  StoreLayout found = layout(GetParam().sectors);

  for (uint64_t chunk = kFirstDataChunk; chunk < GetParam().areas[3]; ++chunk) {
    if (found.is_metadata_chunk(chunk)) continue;
    const auto* next =
        std::upper_bound(GetParam().areas, GetParam().areas + 4, chunk);
    ASSERT_EQ(found.next_area_chunk(chunk), *next) << chunk;
  }
}

INSTANTIATE_TEST_SUITE_P(
    ChunkSizes, Layout,
    testing::Values(
        Vector{1, 512, 32, {1, 34, 67, 100}, {33, 35, 68}},
        Vector{2, 1024, 64, {1, 66, 131, 196}, {65, 67, 132}},
        Vector{8, 4096, 256, {1, 258, 515, 772}, {257, 259, 516}},
        Vector{16, 8192, 512, {1, 514, 1027, 1540}, {513, 515, 1028}},
        Vector{32, 16384, 1024, {1, 1026, 2051, 3076}, {1025, 1027, 2052}},
        Vector{128, 65536, 4096, {1, 4098, 8195, 12292}, {4097, 4099, 8196}},
        Vector{1024,
               524288,
               32768,
               {1, 32770, 65539, 98308},
               {32769, 32771, 65540}}),
    [](const auto& test) { return std::to_string(test.param.sectors); });

TEST(StoreLayout, area_bytes_of_chunks_of_8_sectors) {
  StoreLayout found = layout(8);

  EXPECT_EQ(found.slot_offset(0), 4096u);
  EXPECT_EQ(found.slot_offset(256), 1056768u);
  EXPECT_EQ(found.slot_offset(512), 2109440u);
  EXPECT_EQ(found.chunk_size().start_of(kFirstDataChunk), 8192u);
  EXPECT_EQ(found.chunk_size().start_of(259), 1060864u);
}

TEST(StoreLayout, the_header_is_metadata) {
  EXPECT_TRUE(layout(8).is_metadata_chunk(0));
  EXPECT_EQ(layout(8).skip_metadata(1), 2u);
}

}  // namespace
}  // namespace snapfs::test

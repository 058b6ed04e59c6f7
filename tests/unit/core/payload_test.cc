// SPDX-License-Identifier: MIT
#include "core/payload.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/counting_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/pattern.h"

namespace snapfs::test {
namespace {

TEST(Payload, bytes_go_where_they_are_put) {
  std::vector<std::byte> data = stamped(8, 4, 1);
  Payload payload(8 * kSectorBytes, data);
  MemoryDevice device(64 * kSectorBytes);

  payload.put(device, 16 * kSectorBytes);

  EXPECT_FALSE(payload.is_zeroes());
  EXPECT_EQ(read_range(device, {16 * kSectorBytes, data.size()}), data);
}

TEST(Payload, a_slice_is_named_by_its_place) {
  std::vector<std::byte> data = stamped(8, 4, 1);
  Payload payload(8 * kSectorBytes, data);

  Payload slice = payload.slice({9 * kSectorBytes, 2 * kSectorBytes});
  std::vector<std::byte> found(2 * kSectorBytes);
  slice.put(found);

  EXPECT_EQ(slice.range(), (ByteRange{9 * kSectorBytes, 2 * kSectorBytes}));
  EXPECT_EQ(stamp_difference(found, 9, 1), "");
}

TEST(Payload, zeroes_are_put_as_zeroes) {
  auto memory = std::make_shared<MemoryDevice>(64 * kSectorBytes);
  stamp_device(*memory, {0, 64 * kSectorBytes}, 1);
  CountingDevice device(memory);
  Payload payload = Payload::zeroes({0, 8192});

  payload.slice({4096, 1000}).put(device, 512);

  EXPECT_TRUE(payload.is_zeroes());
  EXPECT_EQ(device.counts().zeroes, 1u);
  EXPECT_EQ(device.counts().writes, 0u);
  EXPECT_EQ(read_range(device, {512, 1000}), std::vector<std::byte>(1000));
  EXPECT_NE(read_range(device, {1512, 24}), std::vector<std::byte>(24));
}

TEST(Payload, zeroes_fill_memory) {
  std::vector<std::byte> memory(10, std::byte{7});

  Payload::zeroes({0, 6}).put(memory);

  EXPECT_EQ(memory[5], std::byte{0});
  EXPECT_EQ(memory[6], std::byte{7});
}

TEST(Payload, nothing_is_put_without_a_request) {
  CountingDevice device(std::make_shared<MemoryDevice>(4096));
  std::vector<std::byte> data(512);

  Payload(0, data).slice({0, 0}).put(device, 0);
  Payload::zeroes({0, 0}).put(device, 0);

  EXPECT_EQ(device.counts().writes + device.counts().zeroes, 0u);
}

}  // namespace
}  // namespace snapfs::test

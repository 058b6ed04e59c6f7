// SPDX-License-Identifier: MIT
//
// The devices that other tests rest on: what they count, hold and fail.
#include <gtest/gtest.h>

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/support/counting_device.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/pattern.h"

namespace snapfs::test {
namespace {

TEST(counting_device, requests_and_bytes_are_counted) {
  CountingDevice device(std::make_shared<MemoryDevice>(1 << 20));

  stamp_device(device, {0, 4096}, 1);
  stamp_device(device, {4096, 1024}, 1);
  device.write_durable(0, stamped(0, 1, 2));
  read_range(device, {0, 512});
  device.zero({0, 2048});
  device.flush();

  CountingDevice::Counts counts = device.counts();
  EXPECT_EQ(counts.writes, 2U);
  EXPECT_EQ(counts.write_bytes, 5120U);
  EXPECT_EQ(counts.durable_writes, 1U);
  EXPECT_EQ(counts.durable_write_bytes, 512U);
  EXPECT_EQ(counts.reads, 1U);
  EXPECT_EQ(counts.read_bytes, 512U);
  EXPECT_EQ(counts.zeroes, 1U);
  EXPECT_EQ(counts.zero_bytes, 2048U);
  EXPECT_EQ(counts.flushes, 1U);
  EXPECT_EQ(counts.barriers(), 2U);
}

TEST(counting_device, held_flushes_wait_and_other_requests_pass) {
  CountingDevice device(std::make_shared<MemoryDevice>(1 << 20));
  device.hold(kFlush);
  std::atomic<int> done = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        device.flush();
        ++done;
      });
    }
    device.wait_until_held(kFlush, 3);

    stamp_device(device, {0, 512}, 1);
    EXPECT_EQ(done, 0);
    EXPECT_EQ(device.held(), 3U);

    device.release(kFlush);
  }
  EXPECT_EQ(done, 3);
  EXPECT_EQ(device.held(), 0U);
}

TEST(counting_device, those_held_go_on_while_later_ones_are_still_held) {
  CountingDevice device(std::make_shared<MemoryDevice>(1 << 20));
  device.hold(kAnyBarrier);
  std::jthread first([&] { device.flush(); });
  device.wait_until_held(kFlush, 1);

  device.release_held();
  first.join();
  std::jthread second([&] { device.write_durable(0, stamped(0, 1, 1)); });
  device.wait_until_held(kWriteDurable, 1);

  EXPECT_EQ(device.held(kFlush), 0U);
  device.release();
}

TEST(faulty_device, the_kth_write_fails_once_and_changes_nothing) {
  auto memory = std::make_shared<MemoryDevice>(1 << 20);
  FaultyDevice device(memory);
  device.inject({.ops = kAnyWrite, .skip = 2, .error = ENOSPC});

  stamp_device(device, {0, 512}, 1);
  device.zero({512, 512});
  try {
    stamp_device(device, {0, 512}, 2);
    ADD_FAILURE() << "the third write did not fail";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOSPC);
  }

  EXPECT_EQ(stamp_difference(read_range(*memory, {0, 512}), 0, 1), "");
  EXPECT_EQ(device.failures(), 1U);
  EXPECT_NO_THROW(stamp_device(device, {0, 512}, 2));
}

TEST(faulty_device, a_bad_range_fails_for_ever_until_it_is_healed) {
  FaultyDevice device(std::make_shared<MemoryDevice>(1 << 20));
  device.inject(
      {.ops = kRead, .range = ByteRange{4096, 512}, .for_ever = true});

  EXPECT_NO_THROW(read_range(device, {0, 4096}));
  EXPECT_NO_THROW(read_range(device, {4608, 512}));
  EXPECT_THROW(read_range(device, {4000, 97}), std::system_error);
  EXPECT_THROW(read_range(device, {4096, 512}), std::system_error);
  device.heal();
  EXPECT_NO_THROW(read_range(device, {4096, 512}));
}

TEST(memory_device, what_lies_outside_is_refused) {
  MemoryDevice device(4096);

  EXPECT_THROW(read_range(device, {4096, 1}), std::out_of_range);
  EXPECT_THROW(device.zero({4095, 2}), std::out_of_range);
}

TEST(memory_device, what_was_cut_off_comes_back_as_zeroes) {
  MemoryDevice device(16384);
  stamp_device(device, {0, 16384}, 1);

  device.set_size(512);
  device.set_size(16384);

  EXPECT_EQ(stamp_difference(read_range(device, {0, 512}), 0, 1), "");
  for (std::byte byte : read_range(device, {512, 16384 - 512})) {
    ASSERT_EQ(byte, std::byte{0});
  }
}

TEST(pattern, a_misplaced_sector_says_where_it_came_from) {
  std::vector<std::byte> data = stamped(10, 3, 4);
  stamp(std::span(data).subspan(512, 512), 99, 5);

  EXPECT_EQ(stamp_difference(data, 10, 4),
            "at sector 11: expected generation 4, found sector 99 of "
            "generation 5");
}

}  // namespace
}  // namespace snapfs::test

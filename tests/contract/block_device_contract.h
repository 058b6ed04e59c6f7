// SPDX-License-Identifier: MIT
//
// What every BlockDevice keeps, whoever implements it. An implementation joins
// with a fixture:
//
//   struct Fixture {
//     static std::string why_not();    // why it cannot run here, or empty
//     BlockDevice& device();           // kDeviceBytes, all zeroes
//     void grow_to(uint64_t bytes);
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Name, BlockDeviceContract, Fixture);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/block_device.h"
#include "tests/support/pattern.h"
#include "tests/support/seed.h"

namespace snapfs::test {

inline constexpr uint64_t kDeviceBytes = 4 << 20;

template <typename Fixture>
class BlockDeviceContract : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string why = Fixture::why_not(); !why.empty()) {
      GTEST_SKIP() << why;
    }
    fixture_ = std::make_unique<Fixture>();
  }

  BlockDevice& device() { return fixture_->device(); }

  std::vector<std::byte> all() {
    return read_range(device(), {0, device().size()});
  }

  // Does `operation` to the device and `change` to a copy of what it held, and
  // expects the two to agree.
  template <typename Operation, typename Change>
  void expect_same(Operation operation, Change change) {
    std::vector<std::byte> wanted = all();
    operation();
    change(wanted);
    std::vector<std::byte> found = all();
    auto [a, b] = std::mismatch(found.begin(), found.end(), wanted.begin());
    EXPECT_TRUE(a == found.end()) << "first at byte " << a - found.begin();
  }

  void expect_zeroed(ByteRange range) {
    expect_same([&] { device().zero(range); },
                [&](std::vector<std::byte>& wanted) {
                  std::fill_n(wanted.begin() +
                                  static_cast<std::ptrdiff_t>(range.offset),
                              range.length, std::byte{0});
                });
  }

  std::unique_ptr<Fixture> fixture_;
};

TYPED_TEST_SUITE_P(BlockDeviceContract);

TYPED_TEST_P(BlockDeviceContract, size_and_block_size_are_told) {
  EXPECT_EQ(this->device().size(), kDeviceBytes);
  uint32_t block = this->device().logical_block_size();
  EXPECT_TRUE(block == 512 || block == 4096) << block;
  EXPECT_FALSE(this->device().name().empty());
}

TYPED_TEST_P(BlockDeviceContract, read_returns_what_was_written) {
  stamp_device(this->device(), {0, kDeviceBytes}, 1);

  EXPECT_EQ(stamp_difference(this->all(), 0, 1), "");
}

TYPED_TEST_P(BlockDeviceContract, last_sector_is_written_and_read) {
  ByteRange last{kDeviceBytes - kSectorBytes, kSectorBytes};

  stamp_device(this->device(), last, 3);

  EXPECT_EQ(stamp_difference(read_range(this->device(), last),
                             last.offset / kSectorBytes, 3),
            "");
}

TYPED_TEST_P(BlockDeviceContract, a_write_of_any_bytes_leaves_its_neighbours) {
  stamp_device(this->device(), {0, kDeviceBytes}, 1);
  const ByteRange ranges[] = {{0, 1}, {511, 2}, {4095, 4099}, {70001, 300007}};

  for (ByteRange range : ranges) {
    std::vector<std::byte> data(range.length, std::byte{0xa5});
    this->expect_same(
        [&] { this->device().write(range.offset, data); },
        [&](std::vector<std::byte>& wanted) {
          std::copy(data.begin(), data.end(),
                    wanted.begin() + static_cast<std::ptrdiff_t>(range.offset));
        });
  }
}

TYPED_TEST_P(BlockDeviceContract, a_durable_write_is_read_back) {
  stamp_device(this->device(), {0, kDeviceBytes}, 1);
  std::vector<std::byte> data = stamped(9, 3, 2);

  this->expect_same(
      [&] { this->device().write_durable(9 * kSectorBytes, data); },
      [&](std::vector<std::byte>& wanted) {
        std::copy(data.begin(), data.end(),
                  wanted.begin() + 9 * static_cast<int>(kSectorBytes));
      });
}

TYPED_TEST_P(BlockDeviceContract, zeroed_bytes_read_as_zeroes) {
  stamp_device(this->device(), {0, kDeviceBytes}, 1);

  this->expect_zeroed({0, 4096});
  this->expect_zeroed({65536, 1 << 20});
  this->expect_zeroed({kDeviceBytes - 8192, 8192});
}

TYPED_TEST_P(BlockDeviceContract, zeroing_leaves_the_bytes_around_it) {
  stamp_device(this->device(), {0, kDeviceBytes}, 1);

  this->expect_zeroed({0, 0});
  this->expect_zeroed({512, 512});
  this->expect_zeroed({8192 + 512, 4096});
  this->expect_zeroed({100001, 1});
  this->expect_zeroed({200001, 200003});
}

TYPED_TEST_P(BlockDeviceContract, zeroes_survive_a_flush_of_earlier_writes) {
  ByteRange range{12288 + 512, 40960};
  stamp_device(this->device(), {0, kDeviceBytes}, 1);

  this->device().zero(range);
  this->device().flush();

  for (std::byte byte : read_range(this->device(), range)) {
    ASSERT_EQ(byte, std::byte{0});
  }
}

TYPED_TEST_P(BlockDeviceContract, what_was_zeroed_can_be_written_again) {
  stamp_device(this->device(), {0, kDeviceBytes}, 1);
  this->device().zero({0, kDeviceBytes});

  stamp_device(this->device(), {0, kDeviceBytes}, 2);

  EXPECT_EQ(stamp_difference(this->all(), 0, 2), "");
}

TYPED_TEST_P(BlockDeviceContract, flush_keeps_the_content) {
  stamp_device(this->device(), {0, kDeviceBytes}, 7);

  this->device().flush();

  EXPECT_EQ(stamp_difference(this->all(), 0, 7), "");
}

TYPED_TEST_P(BlockDeviceContract, extents_cover_the_device_and_hide_no_data) {
  stamp_device(this->device(), {0, 8192}, 1);
  stamp_device(this->device(), {1 << 20, 512}, 1);
  stamp_device(this->device(), {3 << 20, 1 << 20}, 1);
  this->device().zero({(3 << 20) + 65536, 65536});

  uint64_t at = 0;
  while (at < kDeviceBytes) {
    BlockDevice::Extent extent = this->device().extent_at(at);
    ASSERT_GT(extent.length, 0U);
    ASSERT_LE(extent.length, kDeviceBytes - at);
    if (!extent.is_data) {
      for (std::byte byte : read_range(this->device(), {at, extent.length})) {
        ASSERT_EQ(byte, std::byte{0}) << "hole at byte " << at;
      }
    }
    at += extent.length;
  }
}

TYPED_TEST_P(BlockDeviceContract, extents_are_asked_for_from_any_byte) {
  stamp_device(this->device(), {8192, 4096}, 1);

  for (uint64_t at : {uint64_t{0}, uint64_t{8191}, uint64_t{8193},
                      uint64_t{12287}, kDeviceBytes - 1}) {
    BlockDevice::Extent extent = this->device().extent_at(at);
    EXPECT_GT(extent.length, 0U) << at;
    EXPECT_LE(at + extent.length, kDeviceBytes) << at;
    if (at >= 8192 && at < 12288) {
      EXPECT_TRUE(extent.is_data) << at;
    }
  }
}

TYPED_TEST_P(BlockDeviceContract, growth_is_seen_at_the_next_call) {
  stamp_device(this->device(), {0, kDeviceBytes}, 1);

  this->fixture_->grow_to(kDeviceBytes + 8192);

  EXPECT_EQ(this->device().size(), kDeviceBytes + 8192);
  stamp_device(this->device(), {kDeviceBytes, 8192}, 1);
  EXPECT_EQ(stamp_difference(this->all(), 0, 1), "");
}

TYPED_TEST_P(BlockDeviceContract, threads_do_not_disturb_each_other) {
  constexpr uint64_t kThreads = 8;
  constexpr uint64_t kShare = kDeviceBytes / kThreads;
  auto work = [&](uint64_t thread) {
    for (uint64_t round = 1; round <= 4; ++round) {
      for (uint64_t at = 0; at < kShare; at += 16384) {
        ByteRange range{thread * kShare + at, 16384};
        if (round == 2) this->device().zero(range);
        stamp_device(this->device(), range, round);
        read_range(this->device(), range);
      }
      this->device().flush();
    }
  };

  {
    std::vector<std::jthread> threads;
    for (uint64_t i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  }

  EXPECT_EQ(stamp_difference(this->all(), 0, 4), "");
}

TYPED_TEST_P(BlockDeviceContract, random_operations_agree_with_an_array) {
  const uint64_t seed = next_seed();
  SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::vector<std::byte> model(kDeviceBytes);

  for (int step = 0; step < 400; ++step) {
    uint64_t offset = random() % kDeviceBytes;
    uint64_t length =
        std::min<uint64_t>(random() % 100000 + 1, kDeviceBytes - offset);
    std::span<std::byte> part = std::span(model).subspan(offset, length);
    switch (random() % 5) {
      case 0:
        std::fill(part.begin(), part.end(), std::byte{0});
        this->device().zero({offset, length});
        break;
      case 1:
        this->device().flush();
        break;
      case 2:
        std::fill(part.begin(), part.end(), static_cast<std::byte>(random()));
        this->device().write_durable(offset, part);
        break;
      case 3:
        std::fill(part.begin(), part.end(), static_cast<std::byte>(random()));
        this->device().write(offset, part);
        break;
      default: {
        std::vector<std::byte> found =
            read_range(this->device(), {offset, length});
        ASSERT_TRUE(std::equal(found.begin(), found.end(), part.begin()))
            << "step " << step << ", byte " << offset << ", " << length;
      }
    }
  }

  EXPECT_TRUE(this->all() == model);
}

REGISTER_TYPED_TEST_SUITE_P(
    BlockDeviceContract, size_and_block_size_are_told,
    read_returns_what_was_written, last_sector_is_written_and_read,
    a_write_of_any_bytes_leaves_its_neighbours, a_durable_write_is_read_back,
    zeroed_bytes_read_as_zeroes, zeroing_leaves_the_bytes_around_it,
    zeroes_survive_a_flush_of_earlier_writes,
    what_was_zeroed_can_be_written_again, flush_keeps_the_content,
    extents_cover_the_device_and_hide_no_data,
    extents_are_asked_for_from_any_byte, growth_is_seen_at_the_next_call,
    threads_do_not_disturb_each_other, random_operations_agree_with_an_array);

}  // namespace snapfs::test

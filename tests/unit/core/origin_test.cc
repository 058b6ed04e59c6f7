// SPDX-License-Identifier: MIT
#include "core/origin.h"

#include <gtest/gtest.h>

#include <memory>
#include <system_error>
#include <vector>

#include "core/error.h"
#include "tests/support/counting_device.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/pattern.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kBytes = 1 << 20;

// An origin of 1000 sectors on a device of 2048, without snapshots.
class OriginTest : public testing::Test {
 protected:
  OriginTest() { stamp_device(*memory_, {0, kBytes}, 1); }

  std::shared_ptr<MemoryDevice> memory_ =
      std::make_shared<MemoryDevice>(kBytes, "origin");
  std::shared_ptr<FaultyDevice> faulty_ =
      std::make_shared<FaultyDevice>(memory_);
  std::shared_ptr<CountingDevice> device_ =
      std::make_shared<CountingDevice>(faulty_);
  std::shared_ptr<std::atomic<uint64_t>> writes_ =
      std::make_shared<std::atomic<uint64_t>>(0);
  std::shared_ptr<Family> family_ = std::make_shared<Family>(device_, writes_);
  Origin origin_{family_, device_, {1000 * kSectorBytes, false, "8:16"}};
};

TEST_F(OriginTest, lines_are_dmsetups) {
  EXPECT_EQ(origin_.status_line(), "0 1000 snapshot-origin ");
  EXPECT_EQ(origin_.table_line(), "0 1000 snapshot-origin 8:16");
  EXPECT_EQ(origin_.size(), 1000 * kSectorBytes);
  EXPECT_EQ(origin_.allocated_sectors(), 1000u);
  EXPECT_FALSE(origin_.read_only());
}

TEST_F(OriginTest, it_is_read_and_written_through) {
  origin_.write(512, stamped(1, 3, 2));
  std::vector<std::byte> found(4 * kSectorBytes);
  origin_.read(0, found);

  EXPECT_EQ(stamp_difference({found.data(), 512}, 0, 1), "");
  EXPECT_EQ(stamp_difference({found.data() + 512, 3 * 512}, 1, 2), "");
  EXPECT_EQ(device_->counts().reads, 1u);
  EXPECT_EQ(device_->counts().writes, 1u);
}

TEST_F(OriginTest, zeroes_and_discards_without_snapshots_zero_the_device) {
  origin_.zero({0, 4096});
  origin_.discard({8192, 4096});

  EXPECT_EQ(read_range(*memory_, {0, 4096}), std::vector<std::byte>(4096));
  EXPECT_EQ(read_range(*memory_, {8192, 4096}), std::vector<std::byte>(4096));
  EXPECT_EQ(device_->counts().writes, 0u);
}

TEST_F(OriginTest, a_large_write_goes_in_pieces) {
  auto large = std::make_shared<MemoryDevice>(64 << 20, "large");
  auto counting = std::make_shared<CountingDevice>(large);
  Origin origin(std::make_shared<Family>(counting, writes_), counting,
                {64 << 20, false, "large"});

  origin.zero({4096, 20 << 20});

  EXPECT_EQ(counting->counts().zero_bytes, uint64_t{20} << 20);
  EXPECT_EQ(counting->counts().zeroes, 5u);
}

TEST_F(OriginTest, every_write_is_counted) {
  origin_.write(0, stamped(0, 1, 2));
  origin_.zero({0, 512});

  EXPECT_EQ(*writes_, 2u);
}

TEST_F(OriginTest, a_flush_reaches_the_device_and_its_error_the_caller) {
  origin_.flush();
  EXPECT_EQ(device_->counts().flushes, 1u);
  faulty_->inject({.ops = kFlush});

  EXPECT_THROW(origin_.flush(), std::system_error);
}

TEST_F(OriginTest, extents_end_with_the_origin) {
  memory_->zero({0, 8192});

  EXPECT_FALSE(origin_.extent_at(0).is_data);
  EXPECT_EQ(origin_.extent_at(0).length, 8192u);
  EXPECT_TRUE(origin_.extent_at(8192).is_data);
  EXPECT_EQ(origin_.extent_at(8192).length, 1000 * kSectorBytes - 8192);
}

TEST_F(OriginTest, details_name_the_device) {
  EXPECT_EQ(origin_.details(), "device: 8:16\n");
}

}  // namespace
}  // namespace snapfs::test

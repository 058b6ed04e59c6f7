// SPDX-License-Identifier: MIT
#include "core/transient_store.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/memory_device.h"
#include "tests/support/recording_device.h"

namespace snapfs::test {
namespace {

class TransientStoreTest : public testing::Test {
 protected:
  std::shared_ptr<MemoryDevice> memory_ =
      std::make_shared<MemoryDevice>(67 * kSectorBytes, "cow");
  std::shared_ptr<Recording> recording_ = std::make_shared<Recording>();
  TransientStore store_{std::make_shared<RecordingDevice>(memory_, recording_),
                        ChunkSize(8)};
};

TEST_F(TransientStoreTest, the_first_chunk_is_chunk_0) {
  auto reservation = store_.reserve(2);

  ASSERT_TRUE(reservation.has_value());
  EXPECT_EQ(reservation->new_chunks, (std::vector<ChunkRange>{{0, 2}}));
}

TEST_F(TransientStoreTest, usage_has_no_metadata) {
  store_.reserve(3);

  StoreUsage usage = store_.usage();

  EXPECT_EQ(usage.allocated, 24u);
  EXPECT_EQ(usage.total, 67u);
  EXPECT_EQ(usage.metadata, 0u);
}

TEST_F(TransientStoreTest, a_partial_last_chunk_is_not_used) {
  EXPECT_TRUE(store_.has_room(8));
  EXPECT_FALSE(store_.has_room(9));
  EXPECT_TRUE(store_.reserve(8).has_value());
  EXPECT_FALSE(store_.reserve(1).has_value());
}

TEST_F(TransientStoreTest, it_writes_nothing) {
  auto reservation = store_.reserve(2);
  store_.hand_in(*reservation, {{7, 0, 2}});
  store_.commit();
  store_.commit_through(1);
  store_.invalidate();

  EXPECT_TRUE(recording_->ops().empty());
  EXPECT_TRUE(store_.is_durable(1));
  EXPECT_FALSE(store_.has_uncommitted());
}

}  // namespace
}  // namespace snapfs::test

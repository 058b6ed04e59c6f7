// SPDX-License-Identifier: MIT
//
// A family and what one write to its origin copies out. What snapshots show
// then is in snapshot_test.cc.
#include "core/family.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/copy_out.h"
#include "core/snapshot.h"
#include "core/transient_store.h"
#include "tests/support/counting_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/pattern.h"
#include "tests/support/recording_device.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

class FamilyTest : public testing::Test {
 protected:
  explicit FamilyTest(uint64_t origin_bytes = 1 << 20)
      : origin_(
            std::make_shared<CountingDevice>(std::make_shared<RecordingDevice>(
                std::make_shared<MemoryDevice>(origin_bytes, "origin"),
                recording_))),
        family_(std::make_shared<Family>(
            origin_, std::make_shared<std::atomic<uint64_t>>(0))) {
    stamp_device(*origin_, {0, origin_bytes}, 1);
    recording_->clear();
    origin_->reset_counts();
  }

  // A snapshot whose COW device has its name.
  Snapshot& add(const std::string& name, uint64_t chunk_sectors) {
    auto cow = std::make_shared<RecordingDevice>(
        std::make_shared<MemoryDevice>(4 * origin_->size(), name), recording_);
    auto exceptions = std::make_unique<CowExceptions>(
        cow, std::make_unique<TransientStore>(cow, ChunkSize(chunk_sectors)),
        ExceptionTable(), false,
        CowExceptions::Owner{name, StoreType::transient, {}}, timer_, events_);
    Snapshot::Options options;
    options.length = origin_->size();
    snapshots_.push_back(std::make_unique<Snapshot>(
        family_, std::move(exceptions), std::move(options)));
    family_->add(*snapshots_.back());
    return *snapshots_.back();
  }

  void write(ByteRange range, const Snapshot* except = nullptr) {
    family_->write(*origin_, Payload::zeroes(range), except);
  }

  // The devices that were written, in order.
  std::vector<std::string> written() {
    std::vector<std::string> names;
    for (const RecordedOp& op : recording_->ops()) names.push_back(op.device);
    return names;
  }

  std::shared_ptr<Recording> recording_ = std::make_shared<Recording>();
  EventRecorder events_;
  CommitTimer timer_;
  std::shared_ptr<CountingDevice> origin_;
  std::shared_ptr<Family> family_;
  std::vector<std::unique_ptr<Snapshot>> snapshots_;
};

TEST_F(FamilyTest, members_are_served_in_the_order_of_their_chunks) {
  add("a8", 8);
  add("b64", 64);
  add("c8", 8);
  add("d16", 16);

  write({0, 512});

  EXPECT_EQ(written(),
            (std::vector<std::string>{"b64", "d16", "a8", "c8", "origin"}));
}

TEST_F(FamilyTest, a_member_that_left_is_not_served) {
  Snapshot& gone = add("gone", 8);
  add("stays", 8);
  family_->remove(gone);

  write({0, 512});

  EXPECT_EQ(written(), (std::vector<std::string>{"stays", "origin"}));
}

TEST_F(FamilyTest, a_writer_that_is_a_member_is_left_out) {
  Snapshot& writer = add("writer", 8);
  add("other", 8);

  write({0, 512}, &writer);

  EXPECT_EQ(written(), (std::vector<std::string>{"other", "origin"}));
  EXPECT_EQ(writer.exceptions().exception_count(), 0u);
}

TEST_F(FamilyTest, valid_members_are_told) {
  EXPECT_FALSE(family_->has_valid_snapshots());
  Snapshot& snapshot = add("s", 8);
  EXPECT_TRUE(family_->has_valid_snapshots());

  snapshot.exceptions().invalidate("for a test");

  EXPECT_FALSE(family_->has_valid_snapshots());
}

TEST_F(FamilyTest, what_several_need_is_read_once) {
  add("a", 8);
  add("b", 8);
  add("c", 64);

  write({512, 8192});

  EXPECT_EQ(origin_->counts().reads, 1u);
  EXPECT_EQ(origin_->counts().read_bytes, 64 * kSectorBytes);
}

TEST_F(FamilyTest, gaps_that_nobody_needs_are_not_read) {
  add("a", 8);
  write({8192, 4096});
  origin_->reset_counts();

  write({4096, 12288});

  EXPECT_EQ(origin_->counts().reads, 2u);
  EXPECT_EQ(origin_->counts().read_bytes, 8192u);
}

TEST_F(FamilyTest, nothing_is_read_when_nothing_is_missing) {
  add("a", 8);
  write({0, 8192});
  origin_->reset_counts();
  recording_->clear();

  write({100, 8000});

  EXPECT_EQ(origin_->counts().reads, 0u);
  EXPECT_EQ(written(), (std::vector<std::string>{"origin"}));
}

class LargeFamily : public FamilyTest {
 protected:
  LargeFamily() : FamilyTest(32 << 20) {}
};

// Chunks of 16 MiB are copied in pieces, so that memory stays bounded.
TEST_F(LargeFamily, large_chunks_are_copied_in_pieces) {
  Snapshot& snapshot = add("s", 32768);

  write({20 << 20, 512});

  for (const RecordedOp& op : recording_->ops()) {
    EXPECT_LE(op.length, uint64_t{4} << 20) << in_words(op);
  }
  EXPECT_EQ(origin_->counts().read_bytes, uint64_t{16} << 20);
  std::vector<std::byte> data(16 << 20);
  snapshot.read(16 << 20, data);
  EXPECT_EQ(stamp_difference(data, 32768, 1), "");
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Requests carried out on a target: clipping, pieces, flushes.
#include "fusefs/device_request.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <vector>

#include "core/error.h"

namespace snapfs {
namespace {

using Kind = DeviceRequest::Kind;

// Counts, and has data in pages of a pattern.
class FakeTarget : public Target {
 public:
  uint64_t size() const override { return size_; }
  bool read_only() const override { return read_only_; }
  void read(uint64_t offset, std::span<std::byte> into) override {
    check({offset, into.size()});
    for (std::size_t i = 0; i < into.size(); ++i) {
      into[i] = static_cast<std::byte>(offset + i);
    }
  }
  void write(uint64_t offset, std::span<const std::byte> from) override {
    check({offset, from.size()});
    writes_.push_back({offset, from.size()});
    if (error_ != 0) throw_errno(error_, "write", "fake");
  }
  void zero(ByteRange range) override { cleared(range); }
  void discard(ByteRange range) override { cleared(range); }
  void flush() override {
    ++flushes_;
    if (error_ != 0) throw_errno(error_, "flush", "fake");
  }
  BlockDevice::Extent extent_at(uint64_t offset) override {
    ++extents_;
    return {offset / 4096 % 2 == 1, 4096 - offset % 4096};
  }
  uint64_t allocated_sectors() const override { return 0; }
  std::string status_line() const override { return ""; }
  std::string table_line() const override { return ""; }
  std::string details() const override { return ""; }

  uint64_t size_ = uint64_t{1} << 30;
  bool read_only_ = false;
  int error_ = 0;
  std::vector<ByteRange> writes_;
  std::vector<ByteRange> cleared_;
  unsigned flushes_ = 0;
  unsigned extents_ = 0;

 private:
  void check(ByteRange range) const {
    ASSERT_LE(range.end(), size_);
    ASSERT_FALSE(range.empty());
  }
  void cleared(ByteRange range) {
    check(range);
    cleared_.push_back(range);
  }
};

class Request : public ::testing::Test {
 protected:
  DeviceOutcome run(DeviceRequest& request) {
    return carry_out(target_, mark_, request);
  }
  int error_of(DeviceRequest request) {
    try {
      carry_out(target_, mark_, request);
      return 0;
    } catch (const std::exception& error) {
      return errno_of(error);
    }
  }
  void write(uint64_t offset, std::size_t size, bool durable = false) {
    data_.resize(size);
    DeviceRequest request{.kind = Kind::write,
                          .offset = offset,
                          .data = data_,
                          .durable = durable};
    EXPECT_EQ(size, run(request).value);
  }
  void flush() {
    DeviceRequest request{.kind = Kind::flush};
    run(request);
  }

  FakeTarget target_;
  FlushMark mark_;
  std::vector<std::byte> data_;
};

TEST_F(Request, read_is_clipped_at_the_end) {
  target_.size_ = 1024;
  DeviceRequest request{.kind = Kind::read, .offset = 1000, .length = 100};
  DeviceOutcome outcome = run(request);
  ASSERT_EQ(24U, outcome.data.size());
  EXPECT_EQ(static_cast<std::byte>(1000 % 256), outcome.data[0]);
  request = {.kind = Kind::read, .offset = 1024, .length = 100};
  EXPECT_TRUE(run(request).data.empty());
}

TEST_F(Request, write_across_the_end_is_short) {
  target_.size_ = 1024;
  data_.resize(100);
  DeviceRequest request{.kind = Kind::write, .offset = 1000, .data = data_};
  EXPECT_EQ(24U, run(request).value);
  EXPECT_EQ((std::vector<ByteRange>{{1000, 24}}), target_.writes_);
}

TEST_F(Request, write_behind_the_end_is_refused) {
  target_.size_ = 1024;
  data_.resize(1);
  EXPECT_EQ(ENOSPC,
            error_of({.kind = Kind::write, .offset = 1024, .data = data_}));
  EXPECT_TRUE(target_.writes_.empty());
}

TEST_F(Request, read_only_target_is_never_changed) {
  target_.read_only_ = true;
  data_.resize(1);
  EXPECT_EQ(EROFS, error_of({.kind = Kind::write, .data = data_}));
  EXPECT_EQ(EROFS, error_of({.kind = Kind::zero, .length = 512}));
  EXPECT_EQ(EROFS, error_of({.kind = Kind::discard, .length = 512}));
  EXPECT_TRUE(target_.writes_.empty() && target_.cleared_.empty());
}

TEST_F(Request, clean_device_is_not_flushed) {
  flush();
  EXPECT_EQ(0U, target_.flushes_);
  write(0, 512);
  EXPECT_FALSE(mark_.is_clean());
  flush();
  flush();
  EXPECT_EQ(1U, target_.flushes_);
}

TEST_F(Request, durable_write_is_flushed) {
  write(0, 512, true);
  EXPECT_EQ(1U, target_.flushes_);
  EXPECT_TRUE(mark_.is_clean());
}

TEST_F(Request, failed_flush_leaves_the_device_dirty) {
  write(0, 512);
  target_.error_ = EIO;
  EXPECT_EQ(EIO, error_of({.kind = Kind::flush}));
  EXPECT_EQ(EIO, error_of({.kind = Kind::flush}));
  target_.error_ = 0;
  flush();
  EXPECT_EQ(3U, target_.flushes_);
}

TEST_F(Request, failed_write_makes_the_device_dirty) {
  target_.error_ = EIO;
  data_.resize(512);
  EXPECT_EQ(EIO, error_of({.kind = Kind::write, .data = data_}));
  EXPECT_FALSE(mark_.is_clean());
}

// A second flush must not believe one that is still under way.
TEST_F(Request, flush_in_flight_does_not_count_as_done) {
  write(0, 512);
  unsigned inner = 0;
  mark_.flush([&] { mark_.flush([&] { ++inner; }); });
  EXPECT_EQ(1U, inner);
}

// A write that is answered while a flush is under way needs another one.
TEST_F(Request, flush_covers_only_writes_that_came_before_it) {
  write(0, 512);
  mark_.flush([&] { mark_.wrote(); });
  EXPECT_FALSE(mark_.is_clean());
}

TEST_F(Request, long_range_is_cleared_in_aligned_pieces) {
  constexpr uint64_t kMiB = uint64_t{1} << 20;
  for (Kind kind : {Kind::zero, Kind::discard}) {
    target_.cleared_.clear();
    DeviceRequest request{
        .kind = kind, .offset = 63 * kMiB + 512, .length = 128 * kMiB};
    EXPECT_FALSE(run(request).finished);
    EXPECT_FALSE(run(request).finished);
    EXPECT_TRUE(run(request).finished);
    EXPECT_EQ((std::vector<ByteRange>{{63 * kMiB + 512, kMiB - 512},
                                      {64 * kMiB, 64 * kMiB},
                                      {128 * kMiB, 63 * kMiB + 512}}),
              target_.cleared_);
  }
}

TEST_F(Request, range_behind_the_end_is_ignored_or_refused) {
  target_.size_ = 1024;
  DeviceRequest request{.kind = Kind::zero, .offset = 512, .length = 4096};
  EXPECT_TRUE(run(request).finished);
  EXPECT_EQ((std::vector<ByteRange>{{512, 512}}), target_.cleared_);
  request = {.kind = Kind::zero, .offset = 4096, .length = 4096};
  EXPECT_TRUE(run(request).finished);
  EXPECT_EQ(ENOSPC, error_of({.kind = Kind::zero,
                              .offset = 512,
                              .length = 4096,
                              .keep_size = false}));
}

TEST_F(Request, seek_finds_the_next_of_its_kind) {
  DeviceRequest request{.kind = Kind::seek_data, .offset = 100};
  EXPECT_EQ(4096U, run(request).value);
  request = {.kind = Kind::seek_data, .offset = 5000};
  EXPECT_EQ(5000U, run(request).value);
  request = {.kind = Kind::seek_hole, .offset = 5000};
  EXPECT_EQ(8192U, run(request).value);
}

TEST_F(Request, every_file_ends_in_a_hole_and_not_in_data) {
  target_.size_ = 4096 * 2;
  DeviceRequest request{.kind = Kind::seek_hole, .offset = 4096};
  EXPECT_EQ(8192U, run(request).value);
  target_.size_ = 4096;
  EXPECT_EQ(ENXIO, error_of({.kind = Kind::seek_data}));
  EXPECT_EQ(ENXIO, error_of({.kind = Kind::seek_hole, .offset = 4096}));
}

// All data, in extents of a page.
class Scattered : public FakeTarget {
 public:
  BlockDevice::Extent extent_at(uint64_t) override {
    ++extents_;
    return {true, 4096};
  }
};

TEST(SeekRequest, long_way_is_gone_in_pieces) {
  Scattered target;
  target.size_ = 4096 * 10000;
  FlushMark mark;
  DeviceRequest request{.kind = Kind::seek_hole};
  unsigned pieces = 0;
  DeviceOutcome outcome;
  do {
    unsigned before = target.extents_;
    outcome = carry_out(target, mark, request);
    EXPECT_LE(target.extents_ - before, 4096U);
    ++pieces;
  } while (!outcome.finished);
  EXPECT_EQ(3U, pieces);
  EXPECT_EQ(target.size_, outcome.value);
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What a FileDevice does beyond the block device contract: identity of kinds,
// space given back, errors in words.
#include "core/file_device.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "tests/support/loop_device.h"
#include "tests/support/pattern.h"
#include "tests/support/temp_dir.h"

namespace snapfs::test {
namespace {

using testing::HasSubstr;

FileDevice open_device(const std::string& path, int flags = O_RDWR) {
  return FileDevice(UniqueFd(open(path.c_str(), flags | O_CLOEXEC)), path);
}

// The error that `action` throws; code 0 if it throws none.
template <typename Action>
std::system_error error_of(Action action) {
  try {
    action();
  } catch (const std::system_error& error) {
    return error;
  }
  return std::system_error(0, std::generic_category(), "no error");
}

uint64_t allocated_bytes(const std::string& path) {
  struct stat status;
  EXPECT_EQ(stat(path.c_str(), &status), 0);
  return static_cast<uint64_t>(status.st_blocks) * 512;
}

TEST(file_device, an_incomplete_last_sector_does_not_count) {
  TempDir dir;

  EXPECT_EQ(open_device(dir.make_file("a", 10)).size(), 0U);
  EXPECT_EQ(open_device(dir.make_file("b", 1023)).size(), 512U);
  EXPECT_EQ(open_device(dir.make_file("c", 1024)).size(), 1024U);
}

TEST(file_device, a_directory_is_refused) {
  TempDir dir;

  std::system_error error =
      error_of([&] { open_device(dir.path(), O_RDONLY | O_DIRECTORY); });

  EXPECT_EQ(error.code().value(), EINVAL);
  EXPECT_THAT(error.what(), HasSubstr(dir.path()));
}

TEST(file_device, a_character_device_is_refused) {
  EXPECT_EQ(error_of([] { open_device("/dev/null"); }).code().value(), EINVAL);
}

TEST(file_device, a_zeroed_range_of_a_file_gives_its_space_back) {
  TempDir dir;
  std::string path = dir.make_file("file", 1 << 20);
  FileDevice device = open_device(path);
  stamp_device(device, {0, 1 << 20}, 1);
  device.flush();
  uint64_t before = allocated_bytes(path);

  device.zero({4096, 512 << 10});

  EXPECT_LE(allocated_bytes(path), before - (508 << 10));
  EXPECT_EQ(std::filesystem::file_size(path), uint64_t{1} << 20);
}

TEST(file_device, holes_of_a_file_are_told) {
  TempDir dir;
  FileDevice device = open_device(dir.make_file("file", 4 << 20));
  stamp_device(device, {1 << 20, 1 << 20}, 1);

  BlockDevice::Extent hole = device.extent_at(0);
  BlockDevice::Extent data = device.extent_at(1 << 20);
  BlockDevice::Extent rest = device.extent_at(2 << 20);

  EXPECT_FALSE(hole.is_data);
  EXPECT_EQ(hole.length, uint64_t{1} << 20);
  EXPECT_TRUE(data.is_data);
  EXPECT_EQ(data.length, uint64_t{1} << 20);
  EXPECT_FALSE(rest.is_data);
  EXPECT_EQ(rest.length, uint64_t{2} << 20);
}

TEST(file_device, a_read_past_a_shortened_file_is_an_error_that_names_it) {
  TempDir dir;
  std::string path = dir.make_file("file", 8192);
  FileDevice device = open_device(path);
  std::filesystem::resize_file(path, 4096);
  std::vector<std::byte> into(8192);

  std::system_error error = error_of([&] { device.read(0, into); });

  EXPECT_EQ(error.code().value(), EIO);
  EXPECT_THAT(error.what(), HasSubstr(path + " at byte 4096"));
}

TEST(file_device, a_shortened_file_is_not_made_longer_by_a_write) {
  TempDir dir;
  std::string path = dir.make_file("file", 8192);
  FileDevice device = open_device(path);
  std::filesystem::resize_file(path, 4096);
  const std::vector<std::byte> data(1024);

  for (const std::system_error& error :
       {error_of([&] { device.write(4096, data); }),
        error_of([&] { device.write(3584, data); }),
        error_of([&] { device.write_durable(4096, data); }), error_of([&] {
          device.zero({4096, 512});
        })}) {
    EXPECT_EQ(error.code().value(), EIO);
    EXPECT_THAT(error.what(), HasSubstr("unexpected end of " + path));
  }
  EXPECT_EQ(std::filesystem::file_size(path), 4096U);
}

TEST(file_device, a_file_is_extended_without_taking_space) {
  TempDir dir;
  std::string path = dir.make_file("file", 4096);
  FileDevice device = open_device(path);

  device.grow(uint64_t{1} << 30);

  EXPECT_EQ(device.size(), uint64_t{1} << 30);
  EXPECT_LE(allocated_bytes(path), 8192U);
  EXPECT_EQ(device.backing()->stored, allocated_bytes(path));
  EXPECT_GT(device.backing()->available, 0U);
}

TEST(file_device, errors_name_the_operation_the_path_and_the_byte) {
  TempDir dir;
  std::string path = dir.make_file("file", 8192);
  FileDevice device = open_device(path, O_RDONLY);
  std::vector<std::byte> data(512);

  std::system_error write = error_of([&] { device.write(1024, data); });
  std::system_error durable =
      error_of([&] { device.write_durable(1024, data); });
  std::system_error zero = error_of([&] { device.zero({512, 512}); });

  EXPECT_EQ(write.code().value(), EBADF);
  EXPECT_THAT(write.what(),
              HasSubstr("cannot write " + path + " at byte 1024"));
  EXPECT_EQ(durable.code().value(), EBADF);
  EXPECT_THAT(durable.what(),
              HasSubstr("cannot write " + path + " at byte 1024"));
  EXPECT_EQ(zero.code().value(), EBADF);
  EXPECT_THAT(zero.what(), HasSubstr("cannot zero " + path + " at byte 512"));
}

class FileDeviceOnLoop : public testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    if (std::string why = LoopDevice::why_not(); !why.empty()) {
      GTEST_SKIP() << why;
    }
    file_ = dir_.make_file("file", 4 << 20);
    loop_ = std::make_unique<LoopDevice>(
        file_, LoopDevice::Options{.block_size = GetParam()});
  }

  TempDir dir_;
  std::string file_;
  std::unique_ptr<LoopDevice> loop_;
};

TEST_P(FileDeviceOnLoop, the_logical_block_size_is_the_devices) {
  EXPECT_EQ(open_device(loop_->path()).logical_block_size(), GetParam());
}

TEST_P(FileDeviceOnLoop, flushed_writes_have_left_the_cache_of_the_device) {
  FileDevice device = open_device(loop_->path());

  stamp_device(device, {512, 8192}, 5);
  device.flush();

  FileDevice below = open_device(file_);
  EXPECT_EQ(stamp_difference(read_range(below, {512, 8192}), 1, 5), "");
}

TEST_P(FileDeviceOnLoop, a_durable_write_has_left_the_cache_of_the_device) {
  FileDevice device = open_device(loop_->path());

  device.write_durable(4096, stamped(8, 1, 5));

  FileDevice below = open_device(file_);
  EXPECT_EQ(stamp_difference(read_range(below, {4096, 512}), 8, 5), "");
}

TEST_P(FileDeviceOnLoop, a_flush_after_zeroing_leaves_zeroes_below) {
  FileDevice device = open_device(loop_->path());
  stamp_device(device, {0, 1 << 20}, 5);

  device.zero({4096 + 512, 16384});
  device.flush();

  FileDevice below = open_device(file_);
  std::vector<std::byte> wanted = stamped(0, 2048, 5);
  std::fill_n(wanted.begin() + 4096 + 512, 16384, std::byte{0});
  EXPECT_TRUE(read_range(below, {0, 1 << 20}) == wanted);
}

TEST_P(FileDeviceOnLoop, a_zeroed_range_is_given_back_to_the_file_below) {
  FileDevice device = open_device(loop_->path());
  stamp_device(device, {0, 4 << 20}, 5);
  device.flush();
  uint64_t before = allocated_bytes(file_);

  device.zero({0, 2 << 20});

  EXPECT_LE(allocated_bytes(file_), before - (1 << 20));
}

TEST_P(FileDeviceOnLoop, it_is_not_extended) {
  FileDevice device = open_device(loop_->path());

  EXPECT_FALSE(device.backing());
  EXPECT_EQ(errno_of(error_of([&] { device.grow(8 << 20); })), EOPNOTSUPP);
}

TEST_P(FileDeviceOnLoop, all_of_it_is_data) {
  FileDevice device = open_device(loop_->path());

  BlockDevice::Extent extent = device.extent_at(1 << 20);

  EXPECT_TRUE(extent.is_data);
  EXPECT_EQ(extent.length, uint64_t{3} << 20);
}

INSTANTIATE_TEST_SUITE_P(BlockSize, FileDeviceOnLoop,
                         testing::Values(512U, 4096U), [](const auto& size) {
                           return "b" + std::to_string(size.param);
                         });

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// What is on a device is told by name, so that nobody loses it to a new store.
#include "fusefs/content_probe.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "core/file_device.h"
#include "tests/support/command.h"
#include "tests/support/pattern.h"
#include "tests/support/temp_dir.h"

namespace snapfs::test {
namespace {

using testing::StartsWith;

// Each test works on a sparse file; a tool that is not installed is a skip.
class ContentProbeTest : public testing::Test {
 protected:
  std::string probe() {
    UniqueFd fd(open(file_.c_str(), O_RDONLY | O_CLOEXEC));
    return probe_content(fd.get(), file_);
  }

  void write_at(off_t offset, const std::string& bytes) {
    UniqueFd fd(open(file_.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(pwrite(fd.get(), bytes.data(), bytes.size(), offset),
              static_cast<ssize_t>(bytes.size()));
  }

  TempDir dir_;
  std::string file_ = dir_.make_file("image", 320 << 20);
};

#define NEEDS_PROGRAM(name) \
  if (!has_program(name)) GTEST_SKIP() << "no " << (name) << " here"

TEST_F(ContentProbeTest, nothing_is_found_on_zeroes) { EXPECT_EQ(probe(), ""); }

TEST_F(ContentProbeTest, nothing_is_found_on_a_tiny_device) {
  file_ = dir_.make_file("tiny", 512);

  EXPECT_EQ(probe(), "");
}

TEST_F(ContentProbeTest, nothing_is_found_on_stamped_sectors) {
  FileDevice device(UniqueFd(open(file_.c_str(), O_RDWR | O_CLOEXEC)), file_);
  stamp_device(device, {0, 1 << 20}, 1);

  EXPECT_EQ(probe(), "");
}

TEST_F(ContentProbeTest, ext4_is_named_with_its_label) {
  NEEDS_PROGRAM("mkfs.ext4");
  run_or_throw({"mkfs.ext4", "-q", "-L", "root", file_});

  EXPECT_EQ(probe(), "an ext4 filesystem (label \"root\")");
}

TEST_F(ContentProbeTest, xfs_is_named) {
  NEEDS_PROGRAM("mkfs.xfs");
  run_or_throw({"mkfs.xfs", "-q", file_});

  EXPECT_THAT(probe(), StartsWith("an xfs filesystem (UUID "));
}

TEST_F(ContentProbeTest, btrfs_is_named) {
  NEEDS_PROGRAM("mkfs.btrfs");
  run_or_throw({"mkfs.btrfs", "-q", "-L", "pool", file_});

  EXPECT_EQ(probe(), "a btrfs filesystem (label \"pool\")");
}

TEST_F(ContentProbeTest, swap_is_named) {
  NEEDS_PROGRAM("mkswap");
  run_or_throw({"mkswap", "-L", "paging", file_});

  EXPECT_EQ(probe(), "swap space (label \"paging\")");
}

TEST_F(ContentProbeTest, a_luks_volume_is_named) {
  write_at(0, std::string("LUKS\xba\xbe\0\1", 8));

  EXPECT_THAT(probe(), StartsWith("a crypto_LUKS (encrypted volume)"));
}

TEST_F(ContentProbeTest, a_physical_volume_of_lvm_is_named) {
  // The label in the second sector. Its checksum is wrong, and it counts all
  // the same: it is somebody's.
  std::string label(512, '\0');
  std::memcpy(label.data(), "LABELONE", 8);
  label[8] = 1;    // the sector that it is in
  label[20] = 32;  // where its header begins
  std::memcpy(&label[24], "LVM2 001", 8);
  std::memcpy(&label[32], "0123456789abcdef0123456789abcdef", 32);
  write_at(512, label);

  EXPECT_THAT(probe(), StartsWith("an LVM2_member (part of an array or "));
}

TEST_F(ContentProbeTest, a_partition_table_is_named) {
  // One partition of type Linux, and the mark at the end of the sector.
  std::string mbr(512, '\0');
  mbr[450] = '\x83';
  mbr[454] = 8;  // first sector: 2048
  mbr[455] = 8;
  mbr[459] = 16;  // 4096 sectors
  mbr[510] = '\x55';
  mbr[511] = '\xaa';
  write_at(0, mbr);

  EXPECT_EQ(probe(), "a dos partition table");
}

TEST_F(ContentProbeTest, an_exception_store_is_not_foreign) {
  // The kernel's header: magic, valid, version 1, chunk size 16.
  write_at(0, std::string("SnAp\1\0\0\0\1\0\0\0\x10\0\0\0", 16));

  EXPECT_EQ(probe(), "");
}

TEST_F(ContentProbeTest, probing_changes_nothing) {
  NEEDS_PROGRAM("mkfs.ext4");
  file_ = dir_.make_file("small", 4 << 20);
  run_or_throw({"mkfs.ext4", "-q", file_});
  std::string before = run_or_throw({"sha256sum", file_});

  probe();

  EXPECT_EQ(run_or_throw({"sha256sum", file_}), before);
}

TEST(content_probe, what_cannot_be_read_is_an_error) {
  UniqueFd fd(open("/", O_PATH | O_CLOEXEC));

  EXPECT_THROW(probe_content(fd.get(), "/"), std::system_error);
}

}  // namespace
}  // namespace snapfs::test

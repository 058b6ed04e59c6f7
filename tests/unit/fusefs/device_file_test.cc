// SPDX-License-Identifier: MIT
//
// Device files on a real mount: what read(2), write(2) and their relatives do.
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <vector>

#include "tests/unit/fusefs/mounted_tree.h"

namespace snapfs::test {
namespace {

using Page = std::array<char, 4096>;

Page page_of(char byte) {
  Page page;
  page.fill(byte);
  return page;
}

class DeviceFile : public MountedTest {
 protected:
  UniqueFd open_device(const std::string& name, int flags) {
    return open_file(tree().path(name), flags);
  }
  struct stat stat_of(const std::string& name) {
    struct stat result {};
    EXPECT_EQ(0, ::stat(tree().path(name).c_str(), &result));
    return result;
  }
};

TEST_F(DeviceFile, has_size_and_mode_of_its_device) {
  struct stat base = stat_of("base");
  EXPECT_EQ(static_cast<off_t>(MountedTree::kOriginBytes), base.st_size);
  EXPECT_EQ(mode_t{S_IFREG | 0600}, base.st_mode);
  EXPECT_EQ(::geteuid(), base.st_uid);
  EXPECT_NE(base.st_ino, stat_of("snap").st_ino);
  EXPECT_EQ(base.st_ino, stat_of("base").st_ino);
}

TEST_F(DeviceFile, is_listed_and_control_is_not) {
  CommandResult listed = shell(tree().path(), "ls -A1");
  EXPECT_EQ("base\nsnap\n", listed.output);
}

TEST_F(DeviceFile, write_is_seen_by_another_descriptor) {
  UniqueFd writer = open_device("base", O_RDWR);
  UniqueFd reader = open_device("base", O_RDONLY);
  Page page = page_of('w');
  ASSERT_EQ(4096, ::pwrite(writer.get(), page.data(), page.size(), 8192));
  Page read{};
  ASSERT_EQ(4096, ::pread(reader.get(), read.data(), read.size(), 8192));
  EXPECT_EQ(page, read);
}

TEST_F(DeviceFile, origin_write_keeps_snapshot_view) {
  UniqueFd base = open_device("base", O_RDWR);
  UniqueFd snap = open_device("snap", O_RDONLY);
  Page page = page_of('n');
  blkcnt_t blocks = stat_of("snap").st_blocks;
  ASSERT_EQ(4096, ::pwrite(base.get(), page.data(), page.size(), 0));
  Page read = page_of('?');
  ASSERT_EQ(4096, ::pread(snap.get(), read.data(), read.size(), 0));
  EXPECT_EQ(page_of('\0'), read);
  EXPECT_LT(blocks, stat_of("snap").st_blocks);
}

TEST_F(DeviceFile, direct_io_reads_what_direct_io_wrote) {
  UniqueFd fd = open_device("snap", O_RDWR | O_DIRECT);
  std::unique_ptr<char, decltype(&std::free)> memory(
      static_cast<char*>(std::aligned_alloc(4096, 1 << 20)), std::free);
  std::fill_n(memory.get(), 1 << 20, 'd');
  ASSERT_EQ(1 << 20, ::pwrite(fd.get(), memory.get(), 1 << 20, 1 << 20));
  std::fill_n(memory.get(), 1 << 20, '?');
  ASSERT_EQ(1 << 20, ::pread(fd.get(), memory.get(), 1 << 20, 1 << 20));
  EXPECT_EQ(1 << 20, std::count(memory.get(), memory.get() + (1 << 20), 'd'));
}

TEST_F(DeviceFile, reads_end_at_the_end) {
  UniqueFd fd = open_device("base", O_RDONLY);
  Page read;
  off_t end = MountedTree::kOriginBytes;
  EXPECT_EQ(100, ::pread(fd.get(), read.data(), read.size(), end - 100));
  EXPECT_EQ(0, ::pread(fd.get(), read.data(), read.size(), end));
  EXPECT_EQ(0, ::pread(fd.get(), read.data(), read.size(), end + 4096));
}

TEST_F(DeviceFile, write_across_the_end_is_short_and_behind_it_ENOSPC) {
  UniqueFd fd = open_device("base", O_RDWR);
  Page page = page_of('e');
  off_t end = MountedTree::kOriginBytes;
  EXPECT_EQ(512, ::pwrite(fd.get(), page.data(), page.size(), end - 512));
  EXPECT_EQ(ENOSPC,
            error_of(::pwrite(fd.get(), page.data(), page.size(), end)));
  EXPECT_EQ(end, stat_of("base").st_size);
}

TEST_F(DeviceFile, append_has_no_room) {
  UniqueFd fd = open_device("base", O_WRONLY | O_APPEND);
  EXPECT_EQ(ENOSPC, error_of(::write(fd.get(), "x", 1)));
}

TEST_F(DeviceFile, truncation_is_ignored_at_open_and_refused_otherwise) {
  Page page = page_of('t');
  UniqueFd fd = open_device("base", O_RDWR);
  ASSERT_EQ(4096, ::pwrite(fd.get(), page.data(), page.size(), 0));
  UniqueFd truncating = open_device("base", O_RDWR | O_TRUNC);
  Page read{};
  ASSERT_EQ(4096, ::pread(truncating.get(), read.data(), read.size(), 0));
  EXPECT_EQ(page, read);
  EXPECT_EQ(0, error_of(::ftruncate(fd.get(), MountedTree::kOriginBytes)));
  EXPECT_EQ(EPERM, error_of(::ftruncate(fd.get(), 0)));
  EXPECT_EQ(EPERM,
            error_of(::ftruncate(fd.get(), MountedTree::kOriginBytes + 512)));
}

TEST_F(DeviceFile, names_cannot_be_made_or_changed) {
  auto at = [&](const char* name) { return tree().path(name); };
  EXPECT_EQ(EPERM,
            error_of(::open(at("new").c_str(), O_CREAT | O_WRONLY, 0600)));
  EXPECT_EQ(EPERM, error_of(::unlink(at("base").c_str())));
  EXPECT_EQ(EPERM, error_of(::rename(at("base").c_str(), at("other").c_str())));
  EXPECT_EQ(EPERM, error_of(::mkdir(at("dir").c_str(), 0700)));
  EXPECT_EQ(EPERM, error_of(::symlink("base", at("link").c_str())));
  EXPECT_EQ(EPERM, error_of(::link(at("base").c_str(), at("link").c_str())));
  EXPECT_EQ(EPERM, error_of(::mkfifo(at("fifo").c_str(), 0600)));
  EXPECT_EQ(EPERM, error_of(::chmod(at("base").c_str(), 0644)));
  EXPECT_EQ(0, error_of(::chmod(at("base").c_str(), 0600)));
}

TEST_F(DeviceFile, fsync_flushes_once_and_a_clean_file_not_at_all) {
  UniqueFd fd = open_device("base", O_RDWR);
  ASSERT_EQ(0, ::fsync(fd.get()));
  EXPECT_EQ(0U, tree().origin().counts().flushes);
  ASSERT_EQ(1, ::pwrite(fd.get(), "x", 1, 0));
  EXPECT_EQ(0U, tree().origin().counts().flushes);
  ASSERT_EQ(0, ::fsync(fd.get()));
  uint64_t flushes = tree().origin().counts().flushes;
  EXPECT_GT(flushes, 0U);
  ASSERT_EQ(0, ::fsync(fd.get()));
  EXPECT_EQ(flushes, tree().origin().counts().flushes);
}

TEST_F(DeviceFile, close_by_a_writer_flushes_and_by_a_reader_does_not) {
  UniqueFd reader = open_device("base", O_RDONLY);
  UniqueFd writer = open_device("base", O_RDWR);
  ASSERT_EQ(1, ::pwrite(writer.get(), "x", 1, 0));
  reader.reset();
  EXPECT_EQ(0U, tree().origin().counts().flushes);
  writer.reset();
  EXPECT_GT(tree().origin().counts().flushes, 0U);
}

TEST_F(DeviceFile, synchronous_write_is_flushed_before_it_returns) {
  UniqueFd fd = open_device("base", O_RDWR | O_DSYNC);
  ASSERT_EQ(1, ::pwrite(fd.get(), "x", 1, 0));
  EXPECT_GT(tree().origin().counts().flushes, 0U);
}

TEST_F(DeviceFile, zeroed_range_reads_as_zeroes) {
  for (int mode :
       {FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE}) {
    for (const char* name : {"base", "snap"}) {
      UniqueFd fd = open_device(name, O_RDWR);
      Page page = page_of('z');
      ASSERT_EQ(4096, ::pwrite(fd.get(), page.data(), page.size(), 4096));
      ASSERT_EQ(0, error_of(::fallocate(fd.get(), mode, 4096 + 512, 1024)));
      std::fill_n(page.begin() + 512, 1024, '\0');
      Page read{};
      ASSERT_EQ(4096, ::pread(fd.get(), read.data(), read.size(), 4096));
      EXPECT_EQ(page, read) << name << " " << mode;
    }
  }
}

TEST_F(DeviceFile, hole_that_was_punched_reads_as_zeroes) {
  tree().load("discards", MountedTree::snapshot_text("/cow2") +
                              "features: [discard_zeroes_cow]\n");
  UniqueFd fd = open_device("discards", O_RDWR);
  Page page = page_of('h');
  ASSERT_EQ(4096, ::pwrite(fd.get(), page.data(), page.size(), 4096));
  ASSERT_EQ(0, error_of(::fallocate(fd.get(),
                                    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                    4096, 4096)));
  Page read = page_of('?');
  ASSERT_EQ(4096, ::pread(fd.get(), read.data(), read.size(), 4096));
  EXPECT_EQ(page_of('\0'), read);
}

TEST_F(DeviceFile, hole_that_cannot_be_punched_leaves_the_content) {
  UniqueFd fd = open_device("snap", O_RDWR);
  Page page = page_of('h');
  ASSERT_EQ(4096, ::pwrite(fd.get(), page.data(), page.size(), 4096));
  ASSERT_EQ(
      EOPNOTSUPP,
      error_of(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           4096, 4096)));
  Page read{};
  ASSERT_EQ(4096, ::pread(fd.get(), read.data(), read.size(), 4096));
  EXPECT_EQ(page, read);
}

TEST_F(DeviceFile, fallocate_neither_reserves_nor_grows) {
  UniqueFd fd = open_device("base", O_RDWR);
  off_t end = MountedTree::kOriginBytes;
  EXPECT_EQ(EOPNOTSUPP, error_of(::fallocate(fd.get(), 0, 0, 4096)));
  EXPECT_EQ(ENOSPC, error_of(::fallocate(fd.get(), FALLOC_FL_ZERO_RANGE,
                                         end - 512, 1024)));
  EXPECT_EQ(0, error_of(::fallocate(fd.get(),
                                    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                                    end - 512, 1024)));
}

TEST_F(DeviceFile, seek_finds_data_and_holes) {
  UniqueFd fd = open_device("base", O_RDWR);
  Page page = page_of('s');
  ASSERT_EQ(4096, ::pwrite(fd.get(), page.data(), page.size(), 1 << 20));
  off_t data = 1 << 20;
  EXPECT_EQ(data, ::lseek(fd.get(), 0, SEEK_DATA));
  EXPECT_EQ(data + 4096, ::lseek(fd.get(), data, SEEK_HOLE));
  EXPECT_EQ(ENXIO, error_of(::lseek(fd.get(), data + 4096, SEEK_DATA)));
  EXPECT_EQ(ENXIO,
            error_of(::lseek(fd.get(), MountedTree::kOriginBytes, SEEK_HOLE)));
}

TEST_F(DeviceFile, statfs_gives_the_block_size_that_loop_needs) {
  struct statvfs result {};
  ASSERT_EQ(0, ::statvfs(tree().path().c_str(), &result));
  EXPECT_EQ(4096U, result.f_bsize);
}

TEST_F(DeviceFile, open_devices_are_named) {
  EXPECT_TRUE(tree().filesystem().open_devices().empty());
  UniqueFd fd = open_device("snap", O_RDONLY);
  EXPECT_EQ(std::vector<std::string>{"snap"},
            tree().filesystem().open_devices());
}

TEST_F(DeviceFile, read_only_device_refuses_writers) {
  tree().load("ro", MountedTree::snapshot_text("/cow2") + "read_only: true\n");
  EXPECT_EQ(mode_t{S_IFREG | 0400}, stat_of("ro").st_mode);
  EXPECT_EQ(EROFS,
            error_of(::open(tree().path("ro").c_str(), O_RDWR | O_CLOEXEC)));
}

TEST_F(DeviceFile, table_sets_mode_and_owner) {
  tree().load("own", MountedTree::snapshot_text("/cow2") +
                         "mode: 0640\nuid: 12\ngid: 34\n");
  struct stat own = stat_of("own");
  EXPECT_EQ(mode_t{S_IFREG | 0640}, own.st_mode);
  EXPECT_EQ(uid_t{12}, own.st_uid);
  EXPECT_EQ(gid_t{34}, own.st_gid);
}

TEST_F(DeviceFile, device_made_again_is_another_file) {
  ino_t before = stat_of("snap").st_ino;
  tree().devices().remove("snap");
  EXPECT_NE(0, ::access(tree().path("snap").c_str(), F_OK));
  tree().load("snap", MountedTree::snapshot_text("/cow2"));
  EXPECT_NE(before, stat_of("snap").st_ino);
}

// With and without FUSE_DIRECT_IO_ALLOW_MMAP.
class MappedFile : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    std::string reason = why_no_mounts();
    if (!reason.empty()) GTEST_SKIP() << reason;
    tree_ = std::make_unique<MountedTree>(GetParam());
    if (tree_->can_map() != GetParam()) {
      GTEST_SKIP() << "this kernel has no FUSE_DIRECT_IO_ALLOW_MMAP";
    }
  }
  std::unique_ptr<MountedTree> tree_;
};

constexpr std::size_t kMapped = 1 << 16;

// Run in a child. They return the number of the step that went wrong, or 0.
int compare_mapping_and_descriptor(int fd) {
  void* memory =
      ::mmap(nullptr, kMapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return 1;
  auto* bytes = static_cast<volatile char*>(memory);
  if (bytes[4096] != '\0') return 2;
  if (::pwrite(fd, "m", 1, 4096) != 1) return 3;
  if (bytes[4096] != 'm') return 4;
  bytes[9000] = 'x';
  if (::msync(memory, kMapped, MS_SYNC) != 0) return 5;
  char byte = '?';
  if (::pread(fd, &byte, 1, 9000) != 1) return 6;
  return byte == 'x' ? 0 : 7;
}

TEST_P(MappedFile, shared_mapping_and_descriptor_agree) {
  UniqueFd fd = open_file(tree_->path("snap"), O_RDWR);
  Child child([&] { return compare_mapping_and_descriptor(fd.get()); });
  EXPECT_EQ(0, child.wait());
}

// Touches a mapped page, says so, and waits until it has gone. Touching it then
// would be SIGBUS; the kernel's own access is EFAULT.
int wait_until_unmapped(int fd, int ready) {
  void* memory = ::mmap(nullptr, kMapped, PROT_READ, MAP_SHARED, fd, 0);
  int out = ::memfd_create("page", MFD_CLOEXEC);
  if (memory == MAP_FAILED || out < 0) return 1;
  if (::pwrite(out, memory, 1, 0) != 1) return 2;
  if (::write(ready, "r", 1) != 1) return 3;
  while (::pwrite(out, memory, 1, 0) == 1) ::usleep(1000);
  return errno == EFAULT ? 0 : 4;
}

TEST_P(MappedFile, mapping_of_an_invalid_snapshot_fails_as_reads_do) {
  tree_->add_device("/small", std::make_shared<MemoryDevice>(32768, "/small"));
  tree_->load("small", MountedTree::snapshot_text("/small"));
  UniqueFd fd = open_file(tree_->path("small"), O_RDONLY);
  int ends[2];
  ASSERT_EQ(0, ::pipe2(ends, O_CLOEXEC));
  UniqueFd is_ready(ends[0]);
  UniqueFd ready(ends[1]);
  Child child([&] { return wait_until_unmapped(fd.get(), ready.get()); });
  ready.reset();
  char byte = 0;
  ASSERT_EQ(1, ::read(is_ready.get(), &byte, 1));
  UniqueFd base = open_file(tree_->path("base"), O_RDWR);
  std::vector<char> data(1 << 20, 'f');
  ASSERT_EQ(1 << 20, ::pwrite(base.get(), data.data(), data.size(), 0));
  EXPECT_EQ(0, child.wait());
  EXPECT_EQ(EIO, error_of(::pread(fd.get(), &byte, 1, 0)));
}

INSTANTIATE_TEST_SUITE_P(BothKernels, MappedFile, ::testing::Bool(),
                         [](const auto& param_info) {
                           return param_info.param ? "direct" : "cached";
                         });

// Eight writers reach the device together, which they do only if the kernel
// lets direct writes of one file go on in parallel.
TEST_F(DeviceFile, writers_of_one_file_are_served_in_parallel) {
  UniqueFd fd = open_device("base", O_RDWR);
  tree().devices().remove("snap");  // copy-outs would come first
  tree().origin().hold(kWrite);
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back(
        [&, i] { EXPECT_EQ(1, ::pwrite(fd.get(), "p", 1, i * 65536)); });
  }
  tree().origin().wait_until_held(kWrite, 8);
  tree().origin().release();
  for (std::thread& writer : writers) writer.join();
}

}  // namespace
}  // namespace snapfs::test

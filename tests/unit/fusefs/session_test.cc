// SPDX-License-Identifier: MIT
//
// Sessions with a file system of one file, "disk", kept in memory: on the real
// kernel where that is allowed, and against a kernel played by the test.
#include "fusefs/session.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "core/unique_fd.h"
#include "fusefs/snapfs_mounts.h"
#include "tests/support/eventually.h"
#include "tests/support/forked_child.h"
#include "tests/support/temp_dir.h"

namespace snapfs {
namespace {

constexpr fuse_ino_t kDisk = 2;
constexpr std::size_t kDiskBytes = 64 * 1024;

// All of the file system. Every open of the disk is answered with direct I/O.
struct OneFile {
  std::mutex mutex;
  std::array<char, kDiskBytes> content{};
  bool initialised = false;

  std::string text(std::size_t offset, std::size_t size) {
    const std::lock_guard lock(mutex);
    return {content.data() + offset, size};
  }

  static OneFile& of(fuse_req_t request) {
    return *static_cast<OneFile*>(fuse_req_userdata(request));
  }

  static struct stat attributes(fuse_ino_t ino) {
    struct stat stat {};
    stat.st_ino = ino;
    stat.st_mode = ino == kDisk ? S_IFREG | 0600 : S_IFDIR | 0700;
    stat.st_nlink = 1;
    stat.st_size = ino == kDisk ? kDiskBytes : 0;
    return stat;
  }

  static void init(void* userdata, fuse_conn_info*) {
    static_cast<OneFile*>(userdata)->initialised = true;
  }
  static void lookup(fuse_req_t request, fuse_ino_t, const char* name) {
    fuse_entry_param entry{};
    if (std::strcmp(name, "disk") != 0) {
      fuse_reply_err(request, ENOENT);
      return;
    }
    entry.ino = kDisk;
    entry.attr = attributes(kDisk);
    entry.attr_timeout = entry.entry_timeout = 60;
    fuse_reply_entry(request, &entry);
  }
  static void getattr(fuse_req_t request, fuse_ino_t ino, fuse_file_info*) {
    const struct stat stat = attributes(ino);
    fuse_reply_attr(request, &stat, 60);
  }
  static void open(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    info->direct_io = 1;
    fuse_reply_open(request, info);
  }
  static void read(fuse_req_t request, fuse_ino_t, size_t size, off_t offset,
                   fuse_file_info*) {
    OneFile& file = of(request);
    const std::lock_guard lock(file.mutex);
    const auto begin = std::min(static_cast<std::size_t>(offset), kDiskBytes);
    fuse_reply_buf(request, file.content.data() + begin,
                   std::min(size, kDiskBytes - begin));
  }
  static void write(fuse_req_t request, fuse_ino_t, const char* data,
                    size_t size, off_t offset, fuse_file_info*) {
    OneFile& file = of(request);
    const std::lock_guard lock(file.mutex);
    std::memcpy(file.content.data() + offset, data, size);
    fuse_reply_write(request, size);
  }
  static void fsync(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
    fuse_reply_err(request, 0);
  }

  static fuse_lowlevel_ops operations() {
    fuse_lowlevel_ops ops{};
    ops.init = init;
    ops.lookup = lookup;
    ops.getattr = getattr;
    ops.open = open;
    ops.read = read;
    ops.write = write;
    ops.fsync = fsync;
    return ops;
  }
};

// ---------------------------------------------------------------------------
// A kernel played by the test, at the other end of a socket.

class PlayedKernel : public testing::Test {
 protected:
  PlayedKernel() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::runtime_error("socketpair");
    kernel_ = UniqueFd(ends[0]);
    // The session closes its end.
    session_.mount("/dev/fd/" + std::to_string(ends[1]));
  }

  // What the session answers to an INIT with these flags (64 bits).
  fuse_init_out answer(uint64_t flags, uint32_t minor = 45,
                       bool with_extension = true) {
    struct {
      fuse_in_header header{};
      fuse_init_in init{};
    } request;
    request.header.len = sizeof request;
    request.header.opcode = FUSE_INIT;
    request.header.unique = 77;
    request.init.major = 7;
    request.init.minor = minor;
    request.init.max_readahead = 128 * 1024;
    request.init.flags = static_cast<uint32_t>(flags);
    if (with_extension) request.init.flags |= FUSE_INIT_EXT;
    request.init.flags2 = static_cast<uint32_t>(flags >> 32);
    EXPECT_EQ(send(kernel_.get(), &request, sizeof request, 0),
              static_cast<ssize_t>(sizeof request));

    outcome_ = session_.negotiate();

    struct {
      fuse_out_header header{};
      fuse_init_out init{};
    } reply;
    EXPECT_EQ(recv(kernel_.get(), &reply, sizeof reply, 0),
              static_cast<ssize_t>(sizeof reply));
    EXPECT_EQ(reply.header.unique, 77u);
    EXPECT_EQ(reply.header.error, 0);
    EXPECT_EQ(reply.header.len, sizeof reply);
    return reply.init;
  }

  OneFile file_;
  UniqueFd kernel_;
  Session session_{OneFile::operations(), &file_, {}};
  InitOutcome outcome_;
};

constexpr uint64_t kAllowMmap = uint64_t{1} << 36;
constexpr uint64_t kOlderFlags =
    FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_AUTO_INVAL_DATA |
    FUSE_ASYNC_DIO | FUSE_WRITEBACK_CACHE | FUSE_PARALLEL_DIROPS |
    FUSE_MAX_PAGES | FUSE_SPLICE_WRITE | FUSE_SPLICE_READ | FUSE_SPLICE_MOVE;

TEST_F(PlayedKernel, shared_maps_of_direct_files_are_asked_for) {
  const fuse_init_out init = answer(kOlderFlags | kAllowMmap);

  EXPECT_TRUE(outcome_.direct_io_mmap);
  EXPECT_TRUE(init.flags & FUSE_INIT_EXT);
  EXPECT_EQ(init.flags2, kAllowMmap >> 32);
}

TEST_F(PlayedKernel, kernel_without_that_flag_is_not_told_it) {
  const fuse_init_out init = answer(kOlderFlags);

  EXPECT_FALSE(outcome_.direct_io_mmap);
  EXPECT_EQ(init.flags2, 0u);
}

TEST_F(PlayedKernel, second_half_of_the_flags_counts_only_with_the_extension) {
  const fuse_init_out init = answer(kOlderFlags | kAllowMmap, 34, false);

  EXPECT_FALSE(outcome_.direct_io_mmap);
  EXPECT_FALSE(init.flags & FUSE_INIT_EXT);
  EXPECT_EQ(init.flags2, 0u);
}

TEST_F(PlayedKernel, limits_are_raised) {
  const fuse_init_out init = answer(kOlderFlags | kAllowMmap);

  EXPECT_EQ(init.max_write, 1u << 20);
  EXPECT_EQ(init.max_pages, (1u << 20) / static_cast<unsigned>(getpagesize()));
  EXPECT_EQ(init.max_background, 65535);
  EXPECT_GE(init.congestion_threshold, 49149);
}

TEST_F(PlayedKernel, cache_is_write_through_and_ours_to_invalidate) {
  const fuse_init_out init = answer(kOlderFlags | kAllowMmap);

  EXPECT_FALSE(init.flags & FUSE_WRITEBACK_CACHE);
  EXPECT_FALSE(init.flags & FUSE_AUTO_INVAL_DATA);
  EXPECT_TRUE(init.flags & FUSE_ASYNC_DIO);
  EXPECT_TRUE(init.flags & FUSE_ASYNC_READ);
  EXPECT_TRUE(init.flags & FUSE_ATOMIC_O_TRUNC);
}

TEST_F(PlayedKernel, file_systems_own_init_is_called) {
  answer(kOlderFlags);

  EXPECT_TRUE(file_.initialised);
}

TEST_F(PlayedKernel, unmount_before_init_is_an_error) {
  kernel_.reset();

  EXPECT_THROW(session_.negotiate(), std::system_error);
}

// ---------------------------------------------------------------------------
// The real kernel.

class RealMount : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to mount";
    if (access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "no /dev/fuse";
    mount_point_ = directory_.path("mnt");
    ASSERT_EQ(mkdir(mount_point_.c_str(), 0700), 0);
  }

  void TearDown() override {
    if (!mount_point_.empty()) stop();
  }

  void start(Session::Options options = {}) {
    options.mount_options = {"fsname=/the\\,spec", "subtype=snapfs",
                             "default_permissions"};
    session_.emplace(OneFile::operations(), &file_, std::move(options));
    session_->mount(mount_point_);
    outcome_ = session_->negotiate();
    loop_ = std::thread([this] { session_->run(); });
  }

  // Joins the loop, which must have a reason to end.
  void join() {
    if (loop_.joinable()) loop_.join();
    session_.reset();
  }

  void stop() {
    if (session_) umount2(mount_point_.c_str(), MNT_DETACH | MNT_FORCE);
    join();
  }

  UniqueFd open_disk(int flags = O_RDWR) const {
    return UniqueFd(open((mount_point_ + "/disk").c_str(), flags | O_CLOEXEC));
  }

  bool is_mounted() const {
    const auto entry = mounted_at(read_mount_table(), mount_point_);
    return entry && is_snapfs(*entry);
  }

  test::TempDir directory_;
  std::string mount_point_;
  OneFile file_;
  std::optional<Session> session_;
  InitOutcome outcome_;
  std::thread loop_;
};

TEST_F(RealMount, shows_spec_and_type) {
  start();

  const auto entry = mounted_at(read_mount_table(), mount_point_);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->type, "fuse.snapfs");
  EXPECT_EQ(entry->source, "/the,spec");
}

// Run in a child. 0, or an errno.
int write_through_map(int fd) {
  void* map = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
  if (map == MAP_FAILED) return errno;
  std::memcpy(map, "through the map", 16);
  return msync(map, 4096, MS_SYNC) == 0 ? 0 : errno;
}

TEST_F(RealMount, direct_file_can_be_mapped_shared_if_negotiated) {
  start();
  const UniqueFd disk = open_disk();

  test::Child child([&] { return write_through_map(disk.get()); });

  if (!outcome_.direct_io_mmap) {
    EXPECT_EQ(child.wait(), ENODEV << 8);
    return;
  }
  ASSERT_EQ(child.wait(), 0);
  char text[16] = "";
  EXPECT_EQ(pread(disk.get(), text, sizeof text, 4096), 16);
  EXPECT_STREQ(text, "through the map");
  EXPECT_EQ(file_.text(4096, 15), "through the map");
}

// If this fails on a new kernel, the test above has stopped testing anything.
TEST_F(RealMount, kernel_that_can_do_it_has_agreed) {
  int major = 0;
  int minor = 0;
  FILE* version = fopen("/proc/sys/kernel/osrelease", "re");
  ASSERT_NE(version, nullptr);
  // The kernel writes it.
  // NOLINTNEXTLINE(cert-err34-c)
  ASSERT_EQ(fscanf(version, "%d.%d", &major, &minor), 2);
  fclose(version);
  if (major < 6 || (major == 6 && minor < 6)) GTEST_SKIP() << "Linux < 6.6";

  start();

  EXPECT_TRUE(outcome_.direct_io_mmap);
}

TEST_F(RealMount, unmount_from_outside_ends_the_loop) {
  start();

  ASSERT_EQ(umount2(mount_point_.c_str(), 0), 0);

  loop_.join();
  EXPECT_FALSE(is_mounted());
}

TEST_F(RealMount, unmount_from_inside_ends_the_loop) {
  start();

  EXPECT_EQ(session_->unmount(), Session::UnmountResult::done);

  loop_.join();
  EXPECT_FALSE(is_mounted());
}

TEST_F(RealMount, unmount_of_what_is_unmounted_is_done) {
  start();
  ASSERT_EQ(umount2(mount_point_.c_str(), 0), 0);

  EXPECT_EQ(session_->unmount(), Session::UnmountResult::done);
}

TEST_F(RealMount, unmount_of_what_was_detached_in_use_fails) {
  start();
  const UniqueFd disk = open_disk();
  ASSERT_EQ(umount2(mount_point_.c_str(), MNT_DETACH), 0);

  testing::internal::CaptureStderr();
  EXPECT_EQ(session_->unmount(), Session::UnmountResult::failed);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("unmounted lazily"),
            std::string::npos);
  EXPECT_EQ(pwrite(disk.get(), "x", 1, 0), 1);
}

TEST_F(RealMount, aborted_mount_ends_the_loop_and_goes_away) {
  start();
  const UniqueFd disk = open_disk();

  umount2(mount_point_.c_str(), MNT_FORCE);
  join();

  EXPECT_FALSE(is_mounted());
}

TEST_F(RealMount, unmount_of_a_used_mount_is_busy_and_changes_nothing) {
  start();
  const UniqueFd disk = open_disk();

  EXPECT_EQ(session_->unmount(), Session::UnmountResult::busy);

  EXPECT_TRUE(is_mounted());
  EXPECT_EQ(pwrite(disk.get(), "x", 1, 0), 1);
}

TEST_F(RealMount, what_covers_the_mount_is_left_alone) {
  start();
  ASSERT_EQ(mount("none", mount_point_.c_str(), "tmpfs", 0, nullptr), 0);

  testing::internal::CaptureStderr();
  EXPECT_EQ(session_->unmount(), Session::UnmountResult::failed);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("is mounted over it"),
            std::string::npos);

  EXPECT_EQ(mounted_at(read_mount_table(), mount_point_)->type, "tmpfs");
  umount2(mount_point_.c_str(), 0);
}

TEST_F(RealMount, end_leaves_the_loop_although_files_are_open) {
  start();
  const UniqueFd disk = open_disk();
  char byte = 0;
  ASSERT_EQ(pread(disk.get(), &byte, 1, 0), 1);

  session_->end();
  join();

  EXPECT_FALSE(is_mounted());
  EXPECT_EQ(pread(disk.get(), &byte, 1, 0), -1);
}

TEST_F(RealMount, end_before_the_loop_keeps_it_from_starting) {
  session_.emplace(OneFile::operations(), &file_, Session::Options{});
  session_->mount(mount_point_);
  session_->negotiate();

  session_->end();
  session_->run();

  session_.reset();
  EXPECT_FALSE(mounted_at(read_mount_table(), mount_point_));
}

TEST_F(RealMount, session_that_never_ran_leaves_no_mount) {
  session_.emplace(OneFile::operations(), &file_, Session::Options{});
  session_->mount(mount_point_);

  session_.reset();

  EXPECT_FALSE(mounted_at(read_mount_table(), mount_point_));
}

TEST_F(RealMount, descriptor_for_each_thread_works) {
  start({.clone_fd = true});
  const UniqueFd disk = open_disk();

  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&, i] {
      const char letter = static_cast<char>('a' + i);
      for (int k = 0; k < 50; ++k) pwrite(disk.get(), &letter, 1, i);
    });
  }
  for (std::thread& writer : writers) writer.join();

  EXPECT_EQ(file_.text(0, 8), "abcdefgh");
}

TEST_F(RealMount, hundred_cycles_without_a_wait) {
  for (int i = 0; i < 100; ++i) {
    start();
    ASSERT_TRUE(open_disk()) << "cycle " << i;
    // Whoever looks at all mounts keeps one busy for a moment.
    test::eventually([&] { return umount2(mount_point_.c_str(), 0) == 0; });
    join();
  }
}

TEST_F(RealMount, missing_mount_point_is_refused) {
  session_.emplace(OneFile::operations(), &file_, Session::Options{});

  testing::internal::CaptureStderr();
  EXPECT_THROW(session_->mount(mount_point_ + "/missing"), std::runtime_error);
  testing::internal::GetCapturedStderr();
}

TEST(SessionOptions, unknown_to_libfuse_is_refused) {
  OneFile file;

  testing::internal::CaptureStderr();
  EXPECT_THROW(Session(OneFile::operations(), &file,
                       {.mount_options = {"no_such_option"}}),
               std::system_error);
  testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace snapfs

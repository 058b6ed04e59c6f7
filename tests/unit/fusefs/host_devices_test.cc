// SPDX-License-Identifier: MIT
//
// Opening devices by path: what is claimed, what is refused and in which words.
// Second processes, loop devices and mounts are real.
#include "fusefs/host_devices.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "core/unique_fd.h"
#include "fusefs/mount_record.h"
#include "tests/support/child_process.h"
#include "tests/support/command.h"
#include "tests/support/eventually.h"
#include "tests/support/loop_device.h"
#include "tests/support/pattern.h"
#include "tests/support/scratch_mount.h"
#include "tests/support/temp_dir.h"

namespace snapfs::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

const Place kPlace{"base.yaml", 3, 9};
constexpr uint64_t kBytes = 16 << 20;

// What an opening was refused with; error 0 if it was not.
struct Refused {
  int error = 0;
  std::string text;
};

template <typename Open>
Refused refused(Open open) {
  try {
    open();
  } catch (const TableError& error) {
    EXPECT_EQ(error.place().line, kPlace.line);
    EXPECT_EQ(error.place().file, kPlace.file);
    return {error.error(), error.message()};
  }
  return {};
}

class HostDevicesTest : public testing::Test {
 protected:
  HostDevices::Options options() {
    HostDevices::Options options;
    // Refusals that no wait would change come soon.
    options.patience.other = 100ms;
    options.patience.notice = 0ms;
    options.notice = [this](const std::string& line) {
      notices_.push_back(line);
      if (on_notice_) on_notice_();
    };
    options.record_directory = dir_.path("run");
    return options;
  }

  HostDevices& devices() {
    if (!devices_) devices_.emplace(options());
    return *devices_;
  }

  OpenedDevice open_origin(const std::string& path, bool writable) {
    return devices().open_origin(path, writable, kPlace);
  }
  OpenedDevice open_cow(const std::string& path, bool writable = true) {
    return devices().open_cow({.path = path}, writable, kPlace);
  }
  OpenedDevice create_cow(const std::string& path, uint64_t bytes) {
    CowPath cow;
    cow.path = path;
    cow.create = true;
    cow.create_bytes = bytes;
    return devices().open_cow(cow, true, kPlace);
  }
  Refused refused_origin(const std::string& path, bool writable) {
    return refused([&] { open_origin(path, writable); });
  }
  Refused refused_cow(const std::string& path) {
    return refused([&] { open_cow(path); });
  }
  Refused refused_creation(const std::string& path, uint64_t bytes) {
    return refused([&] { create_cow(path, bytes); });
  }

  TempDir dir_;
  std::string file_ = dir_.make_file("base.img", kBytes);
  std::vector<std::string> notices_;
  std::function<void()> on_notice_;
  // Made when it is first used: children are forked before.
  std::optional<HostDevices> devices_;
};

// --- regular files -----------------------------------------------------------

TEST_F(HostDevicesTest, a_file_is_opened_and_identified) {
  OpenedDevice opened = open_origin(file_, true);

  struct stat status;
  ASSERT_EQ(stat(file_.c_str(), &status), 0);
  EXPECT_EQ(opened.id, (DeviceId{false, status.st_dev, status.st_ino}));
  EXPECT_EQ(opened.storage, opened.id);
  EXPECT_EQ(opened.table_name, file_);
  EXPECT_EQ(opened.device->name(), file_);
  EXPECT_EQ(opened.device->size(), kBytes);
  EXPECT_FALSE(opened.created);
  stamp_device(*opened.device, {0, 4096}, 1);
  EXPECT_EQ(stamp_difference(read_range(*opened.device, {0, 4096}), 0, 1), "");
}

TEST_F(HostDevicesTest, two_paths_of_one_file_are_the_same_device) {
  fs::create_hard_link(file_, dir_.path("hard"));
  fs::create_symlink("hard", dir_.path("soft"));

  OpenedDevice a = open_origin(file_, false);
  OpenedDevice b = open_origin(dir_.path("soft"), true);

  EXPECT_EQ(a.id, b.id);
}

TEST_F(HostDevicesTest, a_read_only_device_does_not_write) {
  OpenedDevice opened = open_origin(file_, false);

  EXPECT_THROW(stamp_device(*opened.device, {0, 512}, 1), std::system_error);
}

TEST_F(HostDevicesTest, what_is_no_device_is_refused_in_words) {
  dir_.write_file("short", "ten bytes.");
  dir_.write_file("empty", "");
  fs::create_symlink("nowhere", dir_.path("dangling"));
  ASSERT_EQ(mkfifo(dir_.path("fifo").c_str(), 0600), 0);
  struct Case {
    std::string path;
    int error;
    std::string text;
  };
  const Case cases[] = {
      {dir_.path("none"), ENOENT, "No such file"},
      {dir_.path("none/below"), ENOENT, "(at none)"},
      {dir_.path(), EISDIR, "is a directory"},
      {dir_.path("fifo"), ENOTBLK, "is a fifo"},
      {"/dev/null", ENOTBLK, "is a character device"},
      {dir_.path("short"), EINVAL, "holds 10 bytes, less than one sector"},
      {dir_.path("empty"), EINVAL, "is empty"},
      {dir_.path("dangling"), ENOENT, "is a symbolic link to nowhere"},
      {file_ + "/", ENOTDIR, "Not a directory"},
  };

  for (const Case& c : cases) {
    for (bool writable : {false, true}) {
      Refused origin = refused_origin(c.path, writable);
      EXPECT_EQ(origin.error, c.error) << c.path;
      EXPECT_THAT(origin.text, AllOf(HasSubstr(c.path), HasSubstr(c.text)));
    }
    EXPECT_EQ(refused_cow(c.path).error, c.error) << c.path;
  }
}

TEST_F(HostDevicesTest, files_that_may_not_be_opened_are_refused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(file_.c_str(), 0400), 0);

  ChildProcess child([&](ChildProcess::Side&) {
    if (setresuid(65534, 65534, 65534) != 0) _exit(2);
    Refused refusal = refused_origin(file_, false);
    _exit(refusal.error == EACCES && refusal.text.starts_with(file_) ? 0 : 3);
  });

  EXPECT_EQ(child.join(), 0);
}

TEST_F(HostDevicesTest, a_failed_opening_claims_nothing) {
  std::string path = dir_.write_file("empty", "");
  EXPECT_NE(refused_cow(path).error, 0);
  fs::resize_file(path, kBytes);

  HostDevices others(options());

  EXPECT_NO_THROW(others.open_cow({.path = path}, true, kPlace));
}

// --- creation ----------------------------------------------------------------

TEST_F(HostDevicesTest, a_cow_is_made_sparse_and_private) {
  std::string path = dir_.path("new.cow");

  OpenedDevice opened = create_cow(path, uint64_t{10} << 30);

  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_TRUE(opened.created);
  EXPECT_EQ(opened.device->size(), uint64_t{10} << 30);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  EXPECT_LE(status.st_blocks, 8);
  stamp_device(*opened.device, {0, 512}, 1);
}

TEST_F(HostDevicesTest, a_file_that_exists_is_opened_as_it_is) {
  {
    OpenedDevice before = open_cow(file_);
    stamp_device(*before.device, {0, 4096}, 5);
  }

  OpenedDevice opened = create_cow(file_, uint64_t{10} << 30);

  EXPECT_FALSE(opened.created);
  EXPECT_EQ(opened.device->size(), kBytes);
  EXPECT_EQ(stamp_difference(read_range(*opened.device, {0, 4096}), 0, 5), "");
}

TEST_F(HostDevicesTest, no_file_is_made_through_a_link) {
  fs::create_symlink("nowhere", dir_.path("dangling"));

  Refused refusal = refused_creation(dir_.path("dangling"), kBytes);

  EXPECT_EQ(refusal.error, ELOOP);
  EXPECT_THAT(refusal.text, HasSubstr("is a symbolic link to nowhere"));
  EXPECT_FALSE(fs::exists(dir_.path("nowhere")));
}

TEST_F(HostDevicesTest, what_cannot_be_made_leaves_nothing_behind) {
  std::string path = dir_.path("new.cow");

  EXPECT_EQ(refused_creation(path, 100).error, EINVAL);
  EXPECT_EQ(refused_creation(path, uint64_t{1} << 63).error, EFBIG);
  EXPECT_EQ(refused_creation(path, (uint64_t{1} << 63) - 512).error, EFBIG);
  EXPECT_EQ(refused_creation(dir_.path("none/new.cow"), kBytes).error, ENOENT);

  EXPECT_FALSE(fs::exists(path));
}

TEST_F(HostDevicesTest, the_limit_of_the_process_is_an_error_not_a_signal) {
  ChildProcess child([&](ChildProcess::Side&) {
    rlimit limit{1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    _exit(refused_creation(dir_.path("new.cow"), kBytes).error == EFBIG ? 0
                                                                        : 3);
  });

  EXPECT_EQ(child.join(), 0);
  EXPECT_FALSE(fs::exists(dir_.path("new.cow")));
}

TEST_F(HostDevicesTest, a_discarded_creation_is_gone) {
  std::string path = dir_.path("new.cow");
  OpenedDevice opened = create_cow(path, kBytes);

  devices().discard_created(opened);

  EXPECT_FALSE(fs::exists(path));
}

TEST_F(HostDevicesTest, a_discard_spares_what_took_the_name_meanwhile) {
  std::string path = dir_.path("new.cow");
  OpenedDevice opened = create_cow(path, kBytes);
  fs::rename(path, dir_.path("moved"));
  dir_.write_file("new.cow", "somebody else's");

  devices().discard_created(opened);

  EXPECT_TRUE(fs::exists(path));
  EXPECT_TRUE(fs::exists(dir_.path("moved")));
}

TEST_F(HostDevicesTest, foreign_content_of_an_opened_device_is_named) {
  if (!has_program("mkfs.ext4")) GTEST_SKIP() << "no mkfs.ext4 here";
  run_or_throw({"mkfs.ext4", "-q", "-L", "root", file_});

  EXPECT_EQ(devices().foreign_content(open_cow(file_)),
            "an ext4 filesystem (label \"root\")");
}

// --- claims of other processes -----------------------------------------------

TEST_F(HostDevicesTest, readers_of_several_processes_share_a_file) {
  ChildProcess reader([&](ChildProcess::Side& side) {
    OpenedDevice opened = open_origin(file_, false);
    side.ready();
    side.wait_for_go();
  });
  reader.wait_until_ready();

  EXPECT_NO_THROW(open_origin(file_, false));
}

TEST_F(HostDevicesTest, a_writer_is_refused_while_another_process_reads) {
  ChildProcess reader([&](ChildProcess::Side& side) {
    OpenedDevice opened = open_origin(file_, false);
    side.ready();
    side.wait_for_go();
  });
  reader.wait_until_ready();

  Refused refusal = refused_origin(file_, true);

  EXPECT_EQ(refusal.error, EBUSY);
  EXPECT_THAT(refusal.text,
              AllOf(StartsWith(file_ + " is in use: process " +
                               std::to_string(reader.pid()) + " ("),
                    EndsWith(" holds it")));
}

TEST_F(HostDevicesTest, nobody_gets_in_while_another_process_writes) {
  ChildProcess writer([&](ChildProcess::Side& side) {
    OpenedDevice opened = open_cow(file_);
    side.ready();
    side.wait_for_go();
  });
  writer.wait_until_ready();

  EXPECT_EQ(refused_cow(file_).error, EBUSY);
  EXPECT_EQ(refused_origin(file_, false).error, EBUSY);
}

TEST_F(HostDevicesTest, a_lock_by_another_program_is_respected) {
  ChildProcess locker([&](ChildProcess::Side& side) {
    UniqueFd fd(open(file_.c_str(), O_RDONLY | O_CLOEXEC));
    flock(fd.get(), LOCK_EX);
    side.ready();
    side.wait_for_go();
  });
  locker.wait_until_ready();

  EXPECT_THAT(refused_cow(file_).text,
              HasSubstr("process " + std::to_string(locker.pid())));
}

TEST_F(HostDevicesTest, a_program_that_looks_for_a_moment_is_waited_for) {
  ChildProcess locker([&](ChildProcess::Side& side) {
    UniqueFd fd(open(file_.c_str(), O_RDONLY | O_CLOEXEC));
    flock(fd.get(), LOCK_SH);
    side.ready();
    usleep(50000);
  });
  locker.wait_until_ready();
  HostDevices::Options patient = options();
  patient.patience.other = 30s;
  devices_.emplace(patient);

  EXPECT_NO_THROW(open_cow(file_));
}

TEST_F(HostDevicesTest, a_claim_ends_with_its_last_device) {
  OpenedDevice first = open_cow(file_);
  OpenedDevice second = open_cow(file_);
  HostDevices others(options());
  first = {};
  EXPECT_EQ(
      refused([&] { others.open_cow({.path = file_}, true, kPlace); }).error,
      EBUSY);

  second = {};

  EXPECT_NO_THROW(others.open_cow({.path = file_}, true, kPlace));
}

TEST_F(HostDevicesTest, a_reader_that_becomes_a_writer_keeps_others_out) {
  OpenedDevice reader = open_origin(file_, false);
  HostDevices others(options());
  EXPECT_NO_THROW(others.open_origin(file_, false, kPlace));

  OpenedDevice writer = open_origin(file_, true);

  EXPECT_EQ(refused([&] { others.open_origin(file_, false, kPlace); }).error,
            EBUSY);
  stamp_device(*writer.device, {0, 512}, 3);
  EXPECT_EQ(stamp_difference(read_range(*reader.device, {0, 512}), 0, 3), "");
}

TEST_F(HostDevicesTest, a_reader_that_cannot_become_a_writer_stays_a_reader) {
  OpenedDevice reader = open_origin(file_, false);
  HostDevices others(options());
  OpenedDevice other_reader = others.open_origin(file_, false, kPlace);

  EXPECT_EQ(refused_origin(file_, true).error, EBUSY);

  EXPECT_EQ(refused([&] { others.open_origin(file_, true, kPlace); }).error,
            EBUSY);
  EXPECT_NO_THROW(others.open_origin(file_, false, kPlace));
}

// --- other mounts of snapfs --------------------------------------------------

// As /proc/PID/stat has it, behind the name.
char state_of(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(in, text);
  const size_t end_of_name = text.rfind(')');
  return end_of_name == std::string::npos ? '?' : text.at(end_of_name + 2);
}

class OtherSnapfsTest : public HostDevicesTest {
 protected:
  void SetUp() override {
    if (std::string why = why_no_mounts(); !why.empty()) GTEST_SKIP() << why;
    fs::create_directory(mount_point_);
  }

  // Another snapfs: mounted, with a claim. Told to go on it unmounts, and then
  // once more it ends.
  void run_other(ChildProcess::Side& side) {
    ScratchMount mount = ScratchMount::unserved(mount_point_);
    MountRecord record(mount_point_, dir_.path("run"));
    OpenedDevice opened = open_cow(file_);
    side.ready();
    side.wait_for_go();
    mount.unmount();
    side.ready();
    side.wait_for_go();
  }

  const std::string mount_point_ = dir_.path("mnt");
};

TEST_F(OtherSnapfsTest, a_live_one_is_named_at_once_with_its_mount) {
  ChildProcess other([&](ChildProcess::Side& side) { run_other(side); });
  other.wait_until_ready();
  HostDevices::Options patient = options();
  patient.patience.other = patient.patience.ending = 1h;
  devices_.emplace(patient);

  Refused refusal = refused_cow(file_);

  EXPECT_EQ(refusal.error, EBUSY);
  EXPECT_EQ(refusal.text, file_ + " is in use: the snapfs mounted on " +
                              mount_point_ + " (pid " +
                              std::to_string(other.pid()) + ") uses it");
  EXPECT_TRUE(notices_.empty());
  other.go();
  other.wait_until_ready();
}

TEST_F(OtherSnapfsTest, one_that_is_ending_is_waited_for) {
  ChildProcess other([&](ChildProcess::Side& side) { run_other(side); });
  other.wait_until_ready();
  other.go();
  other.wait_until_ready();
  // It ends when the wait for it has been announced, and not before.
  on_notice_ = [&] { other.go(); };

  EXPECT_NO_THROW(open_cow(file_));

  ASSERT_EQ(notices_.size(), 1U);
  EXPECT_THAT(notices_[0],
              AllOf(HasSubstr("waiting for " + file_),
                    HasSubstr("(pid " + std::to_string(other.pid()) + ")")));
}

// All threads end at once, one sooner and one later: the first may be a zombie
// while another still has everything open.
TEST_F(OtherSnapfsTest, one_whose_first_thread_has_ended_is_waited_for) {
  ChildProcess other([&](ChildProcess::Side& side) {
    ScratchMount mount = ScratchMount::unserved(mount_point_);
    MountRecord record(mount_point_, dir_.path("run"));
    OpenedDevice opened = open_cow(file_);
    mount.unmount();
    std::thread last([&side] {
      eventually([] { return state_of(getpid()) == 'Z'; });
      side.ready();
      side.wait_for_go();
      _exit(0);
    });
    syscall(SYS_exit, 0);
  });
  other.wait_until_ready();
  on_notice_ = [&] { other.go(); };

  EXPECT_NO_THROW(open_cow(file_));

  EXPECT_EQ(notices_.size(), 1U);
}

TEST_F(OtherSnapfsTest, one_that_does_not_end_is_named_in_the_end) {
  ChildProcess other([&](ChildProcess::Side& side) { run_other(side); });
  other.wait_until_ready();
  other.go();
  other.wait_until_ready();
  HostDevices::Options hasty = options();
  hasty.patience.ending = 50ms;
  devices_.emplace(hasty);

  Refused refusal = refused_cow(file_);

  EXPECT_EQ(refusal.error, EBUSY);
  EXPECT_EQ(refusal.text, file_ + " is in use: snapfs (pid " +
                              std::to_string(other.pid()) +
                              ") has not given it up");
}

// --- block devices -----------------------------------------------------------

class HostBlockDevicesTest : public HostDevicesTest {
 protected:
  void SetUp() override {
    if (std::string why = why_no_mounts(); !why.empty()) GTEST_SKIP() << why;
    if (std::string why = LoopDevice::why_not(); !why.empty()) {
      GTEST_SKIP() << why;
    }
    fs::create_directory(dir_.path("mnt"));
  }

  void make_ext4(const LoopDevice& loop) {
    run_or_throw({"mkfs.ext4", "-q", loop.path()});
  }

  ScratchMount mount(const LoopDevice& loop, bool read_only) {
    return ScratchMount::of_device(loop.path(), dir_.path("mnt"), "ext4",
                                   read_only);
  }
};

TEST_F(HostBlockDevicesTest, a_block_device_is_identified_by_its_number) {
  LoopDevice loop(file_);
  struct stat node, file;
  ASSERT_EQ(stat(loop.path().c_str(), &node), 0);
  ASSERT_EQ(stat(file_.c_str(), &file), 0);

  OpenedDevice opened = open_origin(loop.path(), true);

  EXPECT_EQ(opened.id, (DeviceId{true, node.st_rdev, 0}));
  EXPECT_EQ(opened.storage, (DeviceId{false, file.st_dev, file.st_ino}));
  EXPECT_EQ(opened.table_name, std::to_string(major(node.st_rdev)) + ":" +
                                   std::to_string(minor(node.st_rdev)));
  EXPECT_EQ(opened.device->size(), kBytes);
}

TEST_F(HostBlockDevicesTest, a_loop_on_a_loop_has_the_file_as_its_storage) {
  LoopDevice loop(file_);
  LoopDevice upper(loop.path());
  struct stat file;
  ASSERT_EQ(stat(file_.c_str(), &file), 0);

  OpenedDevice opened = open_origin(upper.path(), false);

  EXPECT_EQ(opened.storage, (DeviceId{false, file.st_dev, file.st_ino}));
}

TEST_F(HostBlockDevicesTest, a_loop_on_a_part_of_a_file_is_its_own_storage) {
  LoopDevice first(file_, {.size_limit = 8 << 20});
  LoopDevice second(file_, {.offset = 8 << 20});

  OpenedDevice origin = open_origin(first.path(), true);
  OpenedDevice cow = open_cow(second.path());

  EXPECT_EQ(origin.storage, origin.id);
  EXPECT_NE(origin.storage, cow.storage);
}

TEST_F(HostBlockDevicesTest, a_writer_holds_its_block_device_exclusively) {
  LoopDevice loop(file_);
  OpenedDevice opened = open_cow(loop.path());

  UniqueFd fd(open(loop.path().c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
  EXPECT_EQ(errno, EBUSY);
  EXPECT_FALSE(fd);

  opened = {};
  fd = UniqueFd(open(loop.path().c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
  EXPECT_TRUE(fd);
}

TEST_F(HostBlockDevicesTest, a_program_that_holds_it_exclusively_is_named) {
  LoopDevice loop(file_);
  ChildProcess holder([&](ChildProcess::Side& side) {
    UniqueFd fd(open(loop.path().c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
    side.ready();
    side.wait_for_go();
  });
  holder.wait_until_ready();

  Refused refusal = refused_cow(loop.path());

  EXPECT_EQ(refusal.error, EBUSY);
  EXPECT_THAT(refusal.text,
              HasSubstr("process " + std::to_string(holder.pid()) + " ("));
}

TEST_F(HostBlockDevicesTest, readers_share_a_block_device) {
  LoopDevice loop(file_);
  ChildProcess reader([&](ChildProcess::Side& side) {
    OpenedDevice opened = open_origin(loop.path(), false);
    side.ready();
    side.wait_for_go();
  });
  reader.wait_until_ready();

  EXPECT_NO_THROW(open_origin(loop.path(), false));
  EXPECT_EQ(refused_origin(loop.path(), true).error, EBUSY);
}

TEST_F(HostBlockDevicesTest, a_reader_of_a_block_device_becomes_a_writer) {
  LoopDevice loop(file_);
  OpenedDevice reader = open_origin(loop.path(), false);
  HostDevices others(options());

  OpenedDevice writer = open_origin(loop.path(), true);

  EXPECT_EQ(
      refused([&] { others.open_origin(loop.path(), false, kPlace); }).error,
      EBUSY);
  stamp_device(*writer.device, {0, 512}, 3);
  EXPECT_EQ(stamp_difference(read_range(*reader.device, {0, 512}), 0, 3), "");
}

TEST_F(HostBlockDevicesTest, a_mounted_device_is_refused_with_its_mount) {
  LoopDevice loop(file_);
  make_ext4(loop);
  ScratchMount mounted = mount(loop, false);
  const std::string text = loop.path() + " is in use: it is mounted on " +
                           dir_.path("mnt") + " (ext4)";

  EXPECT_EQ(refused_cow(loop.path()).text, text);
  EXPECT_EQ(refused_origin(loop.path(), true).text, text);
  EXPECT_EQ(refused_origin(loop.path(), false).text, text);
}

TEST_F(HostBlockDevicesTest, a_device_mounted_read_only_can_be_read) {
  LoopDevice loop(file_);
  make_ext4(loop);
  ScratchMount mounted = mount(loop, true);

  EXPECT_NO_THROW(open_origin(loop.path(), false));
  EXPECT_EQ(refused_origin(loop.path(), true).error, EBUSY);
}

TEST_F(HostBlockDevicesTest, a_mounted_btrfs_is_found_by_its_source) {
  if (!has_program("mkfs.btrfs")) GTEST_SKIP() << "no mkfs.btrfs here";
  fs::resize_file(file_, 256 << 20);
  LoopDevice loop(file_);
  run_or_throw({"mkfs.btrfs", "-q", loop.path()});
  ScratchMount mounted =
      ScratchMount::of_device(loop.path(), dir_.path("mnt"), "btrfs", false);

  EXPECT_THAT(refused_cow(loop.path()).text,
              HasSubstr("is mounted on " + dir_.path("mnt") + " (btrfs)"));
}

TEST_F(HostBlockDevicesTest, a_read_only_device_is_not_opened_for_writing) {
  LoopDevice loop(file_, {.read_only = true});

  Refused refusal = refused_cow(loop.path());

  EXPECT_EQ(refusal.error, EROFS);
  EXPECT_EQ(refusal.text, loop.path() + " is a read-only device");
  EXPECT_NO_THROW(open_origin(loop.path(), false));
}

TEST_F(HostBlockDevicesTest, a_file_on_a_read_only_filesystem_is_only_read) {
  LoopDevice loop(dir_.make_file("fs.img", 64 << 20));
  make_ext4(loop);
  {
    ScratchMount writable = mount(loop, false);
    dir_.make_file("mnt/base", kBytes);
  }
  ScratchMount mounted = mount(loop, true);

  Refused refusal = refused_origin(dir_.path("mnt/base"), true);

  EXPECT_EQ(refusal.error, EROFS);
  EXPECT_THAT(refusal.text, HasSubstr("is on a read-only filesystem"));
  EXPECT_NO_THROW(open_origin(dir_.path("mnt/base"), false));
}

TEST_F(HostBlockDevicesTest,
       a_file_larger_than_its_filesystem_takes_is_refused) {
  LoopDevice loop(dir_.make_file("fs.img", 64 << 20));
  make_ext4(loop);
  ScratchMount mounted = mount(loop, false);

  // ext4 takes 16 TiB.
  Refused refusal = refused_creation(dir_.path("mnt/cow"), uint64_t{1} << 50);

  EXPECT_EQ(refusal.error, EFBIG);
  EXPECT_THAT(refusal.text, HasSubstr("larger than its filesystem allows"));
  EXPECT_FALSE(fs::exists(dir_.path("mnt/cow")));
}

// One that `losetup --find` of another test does not take: that counts from 0.
class UnusedLoop {
 public:
  explicit UnusedLoop(const std::string& path)
      : control_(::open("/dev/loop-control", O_RDWR | O_CLOEXEC)),
        index_(500'000 + ::getpid() % 100'000) {
    EXPECT_EQ(::ioctl(control_.get(), LOOP_CTL_ADD, index_), index_);
    dev_t number = makedev(LOOP_MAJOR, static_cast<unsigned>(index_));
    EXPECT_EQ(::mknod(path.c_str(), S_IFBLK | 0600, number), 0);
  }
  ~UnusedLoop() {
    EXPECT_EQ(::ioctl(control_.get(), LOOP_CTL_REMOVE, index_), 0);
  }
  UnusedLoop(const UnusedLoop&) = delete;
  UnusedLoop& operator=(const UnusedLoop&) = delete;

 private:
  const UniqueFd control_;
  const int index_;
};

TEST_F(HostBlockDevicesTest, a_loop_device_without_a_file_is_refused) {
  std::string path = dir_.path("unused-loop");
  UnusedLoop loop(path);

  Refused refusal = refused_cow(path);

  EXPECT_NE(refusal.error, 0);
  EXPECT_THAT(refusal.text, HasSubstr(path));
}

// --- loop devices over what is opened ----------------------------------------

TEST_F(HostBlockDevicesTest, a_file_attached_to_a_loop_device_is_not_written) {
  LoopDevice loop(file_);

  Refused refusal = refused_cow(file_);

  EXPECT_EQ(refusal.error, EBUSY);
  EXPECT_EQ(refusal.text,
            file_ + " is in use: it is attached to " + loop.path());
}

TEST_F(HostBlockDevicesTest, the_mount_of_that_loop_device_is_named) {
  LoopDevice loop(file_);
  make_ext4(loop);
  ScratchMount mounted = mount(loop, false);
  const std::string text = file_ + " is in use: it is attached to " +
                           loop.path() + ", which is mounted on " +
                           dir_.path("mnt") + " (ext4)";

  EXPECT_EQ(refused_cow(file_).text, text);
  EXPECT_EQ(refused_origin(file_, false).text, text);
}

TEST_F(HostBlockDevicesTest, another_name_of_an_attached_file_is_no_way_in) {
  fs::create_hard_link(file_, dir_.path("hard"));
  LoopDevice loop(file_);

  EXPECT_THAT(refused_cow(dir_.path("hard")).text,
              HasSubstr("it is attached to " + loop.path()));
}

TEST_F(HostBlockDevicesTest, a_golden_file_mounted_read_only_can_be_read) {
  {
    LoopDevice loop(file_);
    make_ext4(loop);
  }
  LoopDevice loop(file_, {.read_only = true});
  ScratchMount mounted = mount(loop, true);

  EXPECT_NO_THROW(open_origin(file_, false));
}

TEST_F(HostBlockDevicesTest, two_names_of_one_storage_have_no_writer) {
  LoopDevice loop(file_);
  OpenedDevice reader = open_origin(file_, false);

  Refused refusal = refused_cow(loop.path());

  EXPECT_EQ(refusal.error, EBUSY);
  EXPECT_EQ(refusal.text, loop.path() + " and " + file_ +
                              " are the same storage, and this mount uses " +
                              file_ + " already");
  EXPECT_NO_THROW(open_origin(loop.path(), false));
}

TEST_F(HostBlockDevicesTest, two_loop_devices_on_one_file_have_no_writer) {
  LoopDevice first(file_);
  LoopDevice second(file_);

  EXPECT_THAT(refused_cow(first.path()).text,
              HasSubstr("it is attached to " + second.path()));
  OpenedDevice reader = open_origin(first.path(), false);
  EXPECT_NO_THROW(open_origin(second.path(), false));
}

TEST_F(HostBlockDevicesTest, a_writer_through_a_loop_keeps_the_file_locked) {
  LoopDevice loop(file_);
  ChildProcess writer([&](ChildProcess::Side& side) {
    OpenedDevice opened = open_cow(loop.path());
    side.ready();
    side.wait_for_go();
  });
  writer.wait_until_ready();

  EXPECT_THAT(refused_origin(file_, false).text,
              HasSubstr("process " + std::to_string(writer.pid())));
}

TEST_F(HostBlockDevicesTest, a_file_that_is_written_is_not_taken_by_a_loop) {
  ChildProcess writer([&](ChildProcess::Side& side) {
    OpenedDevice opened = open_cow(file_);
    side.ready();
    side.wait_for_go();
  });
  writer.wait_until_ready();
  LoopDevice loop(file_);

  EXPECT_THAT(refused_origin(loop.path(), false).text,
              HasSubstr("process " + std::to_string(writer.pid())));
}

// --- the own mount -----------------------------------------------------------

TEST_F(HostBlockDevicesTest, paths_on_this_mount_are_refused_unasked) {
  ScratchMount own = ScratchMount::unserved(dir_.path("mnt"));
  devices().set_own_mount(dir_.path("mnt"));
  std::string path = dir_.path("mnt/base");

  Refused refusal = refused_origin(path, false);

  EXPECT_EQ(refusal.error, EBUSY);
  EXPECT_EQ(refusal.text, path + " is on this very mount");
  EXPECT_EQ(refused_creation(path, kBytes).text,
            path + " is on this very mount");
}

TEST_F(HostBlockDevicesTest, a_loop_device_on_this_mount_is_refused) {
  ScratchMount own = ScratchMount::tmpfs(dir_.path("mnt"));
  std::string base = dir_.make_file("mnt/base", kBytes);
  LoopDevice loop(base);
  devices().set_own_mount(dir_.path("mnt"));

  Refused refusal = refused_cow(loop.path());

  EXPECT_EQ(refusal.error, EBUSY);
  EXPECT_EQ(refusal.text, loop.path() +
                              " rests on this very mount (it is a loop device "
                              "over " +
                              base + ")");
}

TEST_F(HostBlockDevicesTest, loops_on_this_mount_do_not_disturb_other_files) {
  ScratchMount own = ScratchMount::tmpfs(dir_.path("mnt"));
  LoopDevice loop(dir_.make_file("mnt/base", kBytes));
  devices().set_own_mount(dir_.path("mnt"));

  EXPECT_NO_THROW(open_cow(file_));
}

}  // namespace
}  // namespace snapfs::test

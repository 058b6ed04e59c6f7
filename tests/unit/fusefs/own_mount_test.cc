// SPDX-License-Identifier: MIT
//
// Paths are followed as the kernel would, and never into the own mount. The
// mount here is a FUSE filesystem that nobody serves: one request to it, and
// the test hangs.
#include "fusefs/own_mount.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "fusefs/found_device.h"
#include "tests/support/command.h"
#include "tests/support/loop_device.h"
#include "tests/support/scratch_mount.h"
#include "tests/support/temp_dir.h"

namespace snapfs::test {
namespace {

namespace fs = std::filesystem;
using Outcome = PathTarget::Outcome;

dev_t number_of(const std::string& node) {
  struct stat status;
  EXPECT_EQ(stat(node.c_str(), &status), 0) << node;
  return status.st_rdev;
}

ino_t inode_of(int fd) {
  struct stat status;
  EXPECT_EQ(fstat(fd, &status), 0);
  return status.st_ino;
}

ino_t inode_of(const std::string& path) {
  struct stat status;
  EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
  return status.st_ino;
}

TEST(own_mount, a_path_leads_where_the_kernel_would_go) {
  TempDir dir;
  std::string file = dir.write_file("file", "x");
  fs::create_directories(dir.path("a/b"));
  fs::create_symlink("../../file", dir.path("a/b/relative"));
  fs::create_symlink(dir.path("a/b/relative"), dir.path("absolute"));
  fs::create_symlink("a//b/.", dir.path("to_b"));
  OwnMount own;

  for (const char* name :
       {"file", "a/../file", "./a/b/../../file", "a/b/relative", "absolute",
        "to_b/relative", "to_b/../../file", "a///b//relative"}) {
    PathTarget target = own.follow(dir.path(name));

    ASSERT_EQ(target.outcome, Outcome::found) << name;
    EXPECT_EQ(inode_of(target.fd.get()), inode_of(file)) << name;
  }
}

TEST(own_mount, a_name_that_is_not_there_is_told_with_its_directory) {
  TempDir dir;
  OwnMount own;

  PathTarget target = own.follow(dir.path("new"));

  EXPECT_EQ(target.outcome, Outcome::missing);
  EXPECT_EQ(target.name, "new");
  EXPECT_EQ(inode_of(target.parent.get()), inode_of(dir.path()));
  EXPECT_EQ(target.link, "");
}

TEST(own_mount, a_dangling_link_is_told_with_its_text) {
  TempDir dir;
  fs::create_symlink("nowhere", dir.path("link"));
  OwnMount own;

  PathTarget target = own.follow(dir.path("link"));

  EXPECT_EQ(target.outcome, Outcome::missing);
  EXPECT_EQ(target.link, "nowhere");
}

TEST(own_mount, errors_are_those_of_the_kernel) {
  TempDir dir;
  dir.write_file("file", "x");
  fs::create_symlink("loop", dir.path("loop"));
  OwnMount own;

  EXPECT_EQ(own.follow(dir.path("file/below")).error, ENOTDIR);
  EXPECT_EQ(own.follow(dir.path("file/")).error, ENOTDIR);
  EXPECT_EQ(own.follow(dir.path("none/below")).error, ENOENT);
  EXPECT_EQ(own.follow(dir.path("loop")).error, ELOOP);
}

TEST(own_mount, nothing_mounted_there_is_an_error) {
  TempDir dir;
  OwnMount own;

  EXPECT_THROW(own.set(dir.path()), std::system_error);
}

class OwnMountTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string why = why_no_mounts(); !why.empty()) GTEST_SKIP() << why;
    fs::create_directories(dir_.path("mnt"));
    fs::create_directories(dir_.path("other"));
  }

  TempDir dir_;
  OwnMount own_;
};

TEST_F(OwnMountTest, paths_into_it_are_refused_without_a_request) {
  ScratchMount mount = ScratchMount::unserved(dir_.path("mnt"));
  own_.set(dir_.path("mnt"));
  fs::create_symlink("mnt/base", dir_.path("link"));
  fs::create_symlink("mnt", dir_.path("link_to_root"));

  for (const char* name : {"mnt", "mnt/", "mnt/base", "mnt/.control/pid",
                           "other/../mnt/base", "link", "link_to_root/base"}) {
    EXPECT_EQ(own_.follow(dir_.path(name)).outcome, Outcome::own_mount) << name;
  }
}

TEST_F(OwnMountTest, paths_beside_it_are_followed) {
  ScratchMount mount = ScratchMount::unserved(dir_.path("mnt"));
  own_.set(dir_.path("mnt"));
  dir_.write_file("other/file", "x");

  EXPECT_EQ(own_.follow(dir_.path("other/file")).outcome, Outcome::found);
}

TEST_F(OwnMountTest, another_view_of_it_is_refused_as_well) {
  ScratchMount mount = ScratchMount::unserved(dir_.path("mnt"));
  ScratchMount view = ScratchMount::bind(dir_.path("mnt"), dir_.path("other"));
  own_.set(dir_.path("mnt"));

  EXPECT_EQ(own_.follow(dir_.path("other/base")).outcome, Outcome::own_mount);
}

// A tmpfs plays the own mount: a loop device cannot be made on one that does
// not answer.
class OwnMountLoopTest : public OwnMountTest {
 protected:
  void SetUp() override {
    OwnMountTest::SetUp();
    if (IsSkipped()) return;
    if (std::string why = LoopDevice::why_not(); !why.empty()) {
      GTEST_SKIP() << why;
    }
    mount_.emplace(ScratchMount::tmpfs(dir_.path("mnt")));
    file_ = dir_.make_file("mnt/base", 16 << 20);
  }

  std::optional<ScratchMount> mount_;
  std::string file_;
};

TEST_F(OwnMountLoopTest, a_loop_device_on_it_rests_on_it) {
  LoopDevice loop(file_);
  EXPECT_FALSE(own_.carries(number_of(loop.path())));

  own_.set(dir_.path("mnt"));

  EXPECT_TRUE(own_.carries(number_of(loop.path())));
  EXPECT_EQ(own_.follow(loop.path()).outcome, Outcome::found);
  EXPECT_THROW(find_device(own_, loop.path()), std::exception);
}

TEST_F(OwnMountLoopTest, a_loop_device_on_a_deleted_file_of_it_rests_on_it) {
  LoopDevice loop(file_);
  fs::remove(file_);
  own_.set(dir_.path("mnt"));

  EXPECT_TRUE(own_.carries(number_of(loop.path())));
}

TEST_F(OwnMountLoopTest, a_loop_device_elsewhere_does_not_rest_on_it) {
  LoopDevice loop(dir_.make_file("elsewhere", 1 << 20));
  own_.set(dir_.path("mnt"));

  EXPECT_FALSE(own_.carries(number_of(loop.path())));
}

TEST_F(OwnMountLoopTest, files_of_a_filesystem_on_such_a_loop_are_refused) {
  LoopDevice loop(file_);
  run_or_throw({"mkfs.ext4", "-q", loop.path()});
  ScratchMount ext4 =
      ScratchMount::of_device(loop.path(), dir_.path("other"), "ext4", false);
  dir_.write_file("other/file", "x");
  EXPECT_EQ(own_.follow(dir_.path("other/file")).outcome, Outcome::found);

  own_.set(dir_.path("mnt"));

  EXPECT_EQ(own_.follow(dir_.path("other/file")).outcome, Outcome::own_mount);
}

}  // namespace
}  // namespace snapfs::test

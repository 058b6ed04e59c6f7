// SPDX-License-Identifier: MIT
#include "fusefs/file_users.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/loop_device.h"
#include "tests/support/temp_dir.h"

namespace snapfs {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

// A process that has a file open and stands in a directory.
class User {
 public:
  User(const std::string& file, const std::string& directory) {
    int ends[2];
    if (pipe(ends) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      if (open(file.c_str(), O_RDONLY) < 0 || chdir(directory.c_str()) != 0)
        _exit(1);
      if (write(ends[1], "r", 1) != 1) _exit(1);
      for (;;) pause();
    }
    close(ends[1]);
    char byte = 0;
    ready_ = read(ends[0], &byte, 1) == 1;
    close(ends[0]);
  }
  ~User() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  bool ready() const { return ready_; }
  std::string pid() const { return std::to_string(pid_); }

 private:
  pid_t pid_;
  bool ready_ = false;
};

TEST(FileUsers, process_with_the_file_open_is_named) {
  const test::TempDir directory;
  const std::string file = directory.make_file("disk", 4096);
  const User user(file, "/");
  ASSERT_TRUE(user.ready());

  EXPECT_THAT(file_users(file), HasSubstr("open in " + user.pid() + " ("));
}

TEST(FileUsers, nobody_is_named_for_an_unused_file) {
  const test::TempDir directory;

  EXPECT_EQ(file_users(directory.make_file("disk", 4096)), "");
}

TEST(FileUsers, own_process_does_not_count) {
  const test::TempDir directory;
  const std::string file = directory.make_file("disk", 4096);
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);

  EXPECT_EQ(file_users(file), "");

  close(fd);
}

TEST(FileUsers, loop_device_is_named) {
  if (auto why = test::LoopDevice::why_not(); !why.empty()) GTEST_SKIP() << why;
  const test::TempDir directory;
  const std::string file = directory.make_file("disk", 1 << 20);
  const test::LoopDevice loop(file);

  EXPECT_THAT(file_users(file), HasSubstr("attached to " + loop.path()));
  EXPECT_THAT(mount_users(directory.path()),
              Contains(file + " is attached to " + loop.path()));
}

TEST(MountUsers, files_and_directories_below_are_named) {
  const test::TempDir directory;
  const std::string file = directory.make_file("disk", 4096);
  const User user(file, directory.path());
  ASSERT_TRUE(user.ready());

  const auto users = mount_users(directory.path());

  EXPECT_THAT(users,
              Contains(HasSubstr(file + " is open in " + user.pid() + " (")));
  EXPECT_THAT(users, Contains(HasSubstr(directory.path() +
                                        " is the working directory of " +
                                        user.pid() + " (")));
}

TEST(MountUsers, neighbour_with_a_longer_name_is_not_below) {
  const test::TempDir directory;
  const std::string file = directory.make_file("mount-two", 4096);
  const User user(file, "/");
  ASSERT_TRUE(user.ready());

  EXPECT_THAT(mount_users(directory.path("mount")), IsEmpty());
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What a daemon notes of itself, and what others make of it.
#include "fusefs/mount_record.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "tests/support/child_process.h"
#include "tests/support/scratch_mount.h"
#include "tests/support/temp_dir.h"

namespace snapfs::test {
namespace {

namespace fs = std::filesystem;
using State = SnapfsProcess::State;

class MountRecordTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string why = why_no_mounts(); !why.empty()) GTEST_SKIP() << why;
    fs::create_directory(mount_point_);
  }

  std::string note() const {
    return dir_.path("run/" + std::to_string(getpid()));
  }

  SnapfsProcess examine(pid_t pid) const {
    return examine_process(pid, dir_.path("run"));
  }

  TempDir dir_;
  const std::string mount_point_ = dir_.path("a mount\n point");
};

TEST_F(MountRecordTest, a_mounted_snapfs_is_known_with_its_mount_point) {
  ScratchMount mount = ScratchMount::unserved(mount_point_);
  MountRecord record(mount_point_, dir_.path("run"));

  SnapfsProcess process = examine(getpid());

  EXPECT_EQ(process.state, State::mounted);
  EXPECT_EQ(process.mount_point, mount_point_);
}

TEST_F(MountRecordTest, a_snapfs_whose_mount_has_gone_is_unmounted) {
  ScratchMount mount = ScratchMount::unserved(mount_point_);
  MountRecord record(mount_point_, dir_.path("run"));

  mount.unmount();

  EXPECT_EQ(examine(getpid()).state, State::unmounted);
}

TEST_F(MountRecordTest, another_mount_in_its_place_is_not_its_own) {
  ScratchMount mount = ScratchMount::unserved(mount_point_);
  MountRecord record(mount_point_, dir_.path("run"));
  ScratchMount other = ScratchMount::unserved(mount_point_);

  EXPECT_EQ(examine(getpid()).state, State::unmounted);
}

TEST_F(MountRecordTest, the_note_goes_with_the_record) {
  ScratchMount mount = ScratchMount::unserved(mount_point_);
  std::optional<MountRecord> record;
  record.emplace(mount_point_, dir_.path("run"));
  ASSERT_TRUE(fs::exists(note()));

  record.reset();

  EXPECT_FALSE(fs::exists(note()));
  EXPECT_TRUE(fs::is_empty(dir_.path("run")));
  EXPECT_EQ(examine(getpid()).state, State::not_snapfs);
}

TEST_F(MountRecordTest, a_note_of_an_earlier_process_with_this_pid_is_stale) {
  ScratchMount mount = ScratchMount::unserved(mount_point_);
  MountRecord record(mount_point_, dir_.path("run"));
  ChildProcess child([](ChildProcess::Side& side) {
    side.ready();
    side.wait_for_go();
  });
  child.wait_until_ready();

  std::ifstream in(note());
  std::stringstream text;
  text << in.rdbuf();
  // Its start is the first line: that of a process of long ago.
  const std::string rest = text.str().substr(text.str().find('\n'));
  dir_.write_file("run/" + std::to_string(child.pid()), "1" + rest);

  EXPECT_EQ(examine(child.pid()).state, State::not_snapfs);
}

TEST_F(MountRecordTest, a_stale_note_does_not_stop_a_new_one) {
  ScratchMount mount = ScratchMount::unserved(mount_point_);
  fs::create_directory(dir_.path("run"));
  dir_.write_file("run/" + std::to_string(getpid()), "1\n2\n/old");

  MountRecord record(mount_point_, dir_.path("run"));

  EXPECT_EQ(examine(getpid()).mount_point, mount_point_);
}

TEST_F(MountRecordTest, a_note_by_another_user_says_nothing) {
  ScratchMount mount = ScratchMount::unserved(mount_point_);
  MountRecord record(mount_point_, dir_.path("run"));

  ASSERT_EQ(chown(note().c_str(), 65534, 65534), 0);

  EXPECT_EQ(examine(getpid()).state, State::not_snapfs);
}

TEST_F(MountRecordTest, no_mount_no_record) {
  EXPECT_THROW(MountRecord(mount_point_, dir_.path("run")), std::system_error);
}

TEST(mount_record, a_process_that_is_gone_is_no_snapfs) {
  pid_t gone = 0;
  {
    ChildProcess child([](ChildProcess::Side&) {});
    gone = child.pid();
    child.join();
  }

  EXPECT_EQ(examine_process(gone).state, State::not_snapfs);
}

TEST(mount_record, broken_notes_are_ignored) {
  TempDir dir;
  std::string name = std::to_string(getpid());
  for (const char* text : {"", "\n", "12", "x\ny\nz", "\xff\xff"}) {
    dir.write_file(name, text);
    EXPECT_EQ(examine_process(getpid(), dir.path()).state, State::not_snapfs);
  }
  fs::remove(dir.path(name));
  fs::create_symlink("/dev/zero", dir.path(name));
  EXPECT_EQ(examine_process(getpid(), dir.path()).state, State::not_snapfs);
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "fusefs/termination.h"

#include <gtest/gtest.h>

#include <csignal>

namespace snapfs {
namespace {

// A mount of which only the outside is there; `done` says what was done to it.
struct FakeMount {
  std::vector<std::string> open = {};
  bool busy = false;
  std::string done = {};

  Termination::Actions actions() {
    return {
        .open_devices = [this] { return open; },
        .name_users =
            [this](const std::vector<std::string>& names) {
              for (const std::string& name : names) done += name + " ";
            },
        .flush = [this] { done += "flush "; },
        .unmount =
            [this] {
              done += busy ? "busy " : "unmount ";
              return !busy;
            },
        .end = [this] { done += "end "; },
    };
  }
};

std::string log_of(const std::function<void()>& action) {
  testing::internal::CaptureStderr();
  action();
  return testing::internal::GetCapturedStderr();
}

TEST(Termination, idle_mount_is_unmounted) {
  FakeMount mount;
  Termination termination(mount.actions());

  const std::string log = log_of([&] { termination.asked(SIGTERM); });

  EXPECT_EQ(mount.done, "unmount ");
  EXPECT_EQ(log, "snapfs: SIGTERM: unmounted\n");
}

TEST(Termination, open_device_is_flushed_and_served_on) {
  FakeMount mount{.open = {"disk", "vm"}, .busy = true};
  Termination termination(mount.actions());

  const std::string log = log_of([&] { termination.asked(SIGINT); });

  EXPECT_EQ(mount.done, "busy flush disk vm ");
  EXPECT_NE(log.find("SIGINT: everything is written"), std::string::npos)
      << log;
}

TEST(Termination, second_signal_ends_an_open_mount) {
  FakeMount mount{.open = {"disk"}, .busy = true};
  Termination termination(mount.actions());

  log_of([&] {
    termination.asked(SIGTERM);
    mount.done.clear();
    termination.asked(SIGTERM);
  });

  EXPECT_EQ(mount.done, "busy flush end ");
}

// The kernel has closed the file, and will tell later.
TEST(Termination, file_that_has_just_been_closed_does_not_keep_the_mount) {
  FakeMount mount{.open = {"disk"}};
  Termination termination(mount.actions());

  log_of([&] { termination.asked(SIGTERM); });

  EXPECT_EQ(mount.done, "unmount ");
}

TEST(Termination, second_signal_unmounts_if_the_devices_were_closed) {
  FakeMount mount{.open = {"disk"}, .busy = true};
  Termination termination(mount.actions());

  log_of([&] {
    termination.asked(SIGTERM);
    mount.open.clear();
    mount.busy = false;
    mount.done.clear();
    termination.asked(SIGTERM);
  });

  EXPECT_EQ(mount.done, "unmount ");
}

TEST(Termination, busy_mount_point_is_served_on_and_ended_by_the_second) {
  FakeMount mount{.busy = true};
  Termination termination(mount.actions());

  log_of([&] { termination.asked(SIGTERM); });
  EXPECT_EQ(mount.done, "busy flush ");

  mount.done.clear();
  log_of([&] { termination.asked(SIGTERM); });
  EXPECT_EQ(mount.done, "busy flush end ");
}

}  // namespace
}  // namespace snapfs

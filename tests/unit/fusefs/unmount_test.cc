// SPDX-License-Identifier: MIT
#include "fusefs/unmount.h"

#include <gtest/gtest.h>

#include "fusefs/mount_options.h"

namespace snapfs {
namespace {

std::string complaint(const std::vector<std::string>& arguments) {
  try {
    parse_unmount_command(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(UnmountCommand, plain_one_is_neither_lazy_nor_forced) {
  const UnmountOptions options = parse_unmount_command({"/mnt"});

  EXPECT_EQ(options.mount_point, "/mnt");
  EXPECT_FALSE(options.lazy || options.force || options.verbose);
  EXPECT_FALSE(options.mount_namespace);
}

TEST(UnmountCommand, all_that_umount_may_pass_is_understood) {
  const UnmountOptions options = parse_unmount_command(
      {"/mnt", "-flnrv", "-N", "42", "-t", "fuse.snapfs"});

  EXPECT_EQ(options.mount_point, "/mnt");
  EXPECT_TRUE(options.lazy && options.force && options.verbose);
  EXPECT_EQ(options.mount_namespace, "42");
}

TEST(UnmountCommand, wrong_ones_are_named) {
  EXPECT_EQ(complaint({}), "DIR is missing");
  EXPECT_EQ(complaint({"/mnt", "x"}), "one argument too many: x");
  EXPECT_EQ(complaint({"/mnt", "-q"}), "unknown option: -q");
  EXPECT_EQ(complaint({"/mnt", "-N"}), "option -N needs an argument");
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/snapfs_mounts.h"

#include <gtest/gtest.h>

namespace snapfs {
namespace {

MountEntry entry(int id, dev_t device, const std::string& mount_point,
                 const std::string& type) {
  MountEntry mount;
  mount.id = id;
  mount.device = device;
  mount.mount_point = mount_point;
  mount.type = type;
  return mount;
}

TEST(SnapfsMounts, last_mount_is_on_top) {
  const std::vector<MountEntry> mounts = {entry(1, 10, "/m", "fuse.snapfs"),
                                          entry(2, 11, "/m", "tmpfs")};

  EXPECT_EQ(mounted_at(mounts, "/m")->type, "tmpfs");
  EXPECT_FALSE(mounted_at(mounts, "/"));
}

TEST(SnapfsMounts, bind_mount_is_the_same_snapfs) {
  const auto found = snapfs_mounts({entry(1, 10, "/m", "fuse.snapfs"),
                                    entry(2, 10, "/bind", "fuse.snapfs"),
                                    entry(3, 12, "/other", "fuse.snapfs")});

  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].mount_point, "/m");
  EXPECT_EQ(found[1].mount_point, "/other");
}

TEST(SnapfsMounts, covered_one_cannot_be_reached) {
  EXPECT_TRUE(snapfs_mounts({entry(1, 10, "/m", "fuse.snapfs"),
                             entry(2, 11, "/m", "tmpfs")})
                  .empty());
}

TEST(SnapfsMounts, other_types_are_not_ours) {
  EXPECT_TRUE(
      snapfs_mounts({entry(1, 10, "/m", "fuse.sshfs"),
                     entry(2, 11, "/n", "fuse"), entry(3, 12, "/o", "snapfs")})
          .empty());
}

TEST(SnapfsMounts, mount_is_shown_elsewhere_too) {
  MountEntry mount = entry(1, 10, "/m", "fuse.snapfs");
  mount.source = "/spec";
  MountEntry bound = mount;
  bound.mount_point = "/bind";

  EXPECT_TRUE(shows({entry(2, 11, "/", "ext4"), bound}, mount));
  EXPECT_FALSE(shows({entry(2, 11, "/", "ext4")}, mount));
}

TEST(SnapfsMounts, another_one_with_the_number_of_one_that_has_gone_is_not_it) {
  MountEntry gone = entry(1, 10, "/m", "fuse.snapfs");
  gone.source = "/spec";
  MountEntry other = entry(2, 10, "/n", "fuse.snapfs");
  other.source = "/other";

  EXPECT_FALSE(shows({other}, gone));
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/created_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "tests/support/memory_device.h"

namespace snapfs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Knows the existing files by name, makes the others, and notes deletions.
class NotingOpener : public DeviceOpener {
 public:
  OpenedDevice open_origin(const std::string& path, bool,
                           const Place&) override {
    return opened(path, false);
  }
  OpenedDevice open_cow(const CowPath& cow, bool, const Place&) override {
    return opened(cow.path, cow.create);
  }
  std::optional<DeviceId> storage_of(const std::string& path,
                                     const Place&) override {
    return DeviceId{.is_block = false, .device = 1, .inode = path.size()};
  }
  std::string foreign_content(const OpenedDevice& device) override {
    return "content of " + device.table_name;
  }
  void discard_created(const OpenedDevice& device) noexcept override {
    deleted.push_back(device.table_name);
  }

  std::vector<std::string> deleted;

 private:
  static OpenedDevice opened(const std::string& path, bool created) {
    OpenedDevice device;
    device.device = std::make_shared<test::MemoryDevice>(4096);
    device.table_name = path;
    device.created = created;
    return device;
  }
};

CowPath cow(const std::string& path, bool create) {
  CowPath cow;
  cow.path = path;
  cow.create = create;
  return cow;
}

class CreatedFilesTest : public testing::Test {
 protected:
  NotingOpener opener_;
  std::optional<CreatedFiles> files_{std::in_place, opener_};
};

TEST_F(CreatedFilesTest, failed_mount_leaves_none) {
  files_->open_cow(cow("a", true), true, {});
  files_->open_cow(cow("b", true), true, {});

  files_.reset();

  EXPECT_THAT(opener_.deleted, ElementsAre("a", "b"));
}

TEST_F(CreatedFilesTest, what_was_there_before_stays) {
  files_->open_origin("origin", true, {});
  files_->open_cow(cow("old", false), true, {});

  files_.reset();

  EXPECT_THAT(opener_.deleted, IsEmpty());
}

TEST_F(CreatedFilesTest, those_of_a_mount_that_counts_stay) {
  files_->open_cow(cow("a", true), true, {});
  files_->keep();
  files_->open_cow(cow("later", true), true, {});

  files_.reset();

  EXPECT_THAT(opener_.deleted, IsEmpty());
}

TEST_F(CreatedFilesTest, keeping_holds_no_device) {
  const std::weak_ptr<BlockDevice> device =
      files_->open_cow(cow("a", true), true, {}).device;
  EXPECT_FALSE(device.expired());

  files_->keep();

  EXPECT_TRUE(device.expired());
}

TEST_F(CreatedFilesTest, one_that_a_refused_table_made_is_deleted_once) {
  const OpenedDevice opened = files_->open_cow(cow("a", true), true, {});

  files_->discard_created(opened);
  files_.reset();

  EXPECT_THAT(opener_.deleted, ElementsAre("a"));
}

TEST_F(CreatedFilesTest, questions_are_handed_on) {
  const OpenedDevice opened = files_->open_origin("origin", true, {});

  EXPECT_EQ(files_->foreign_content(opened), "content of origin");
  EXPECT_EQ(files_->storage_of("origin", {})->inode, 6U);
}

}  // namespace
}  // namespace snapfs

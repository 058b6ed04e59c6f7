// SPDX-License-Identifier: MIT
//
// A merge on a real mount: what the files of the origin and of the snapshot
// show, and the control files.
#include <unistd.h>

#include "tests/unit/fusefs/mounted_tree.h"

namespace snapfs::test {
namespace {

class MergeFile : public MountedTest {
 protected:
  static constexpr char kMerge[] =
      "target: snapshot-merge\norigin: /origin\ncow: /cow\nactivate: now\n";

  void SetUp() override {
    MountedTest::SetUp();
    if (IsSkipped()) return;
    UniqueFd snap = open_file(tree().path("snap"), O_RDWR);
    ASSERT_EQ(6, ::pwrite(snap.get(), "merged", 6, 8192));
  }

  // What `cp` says to it; nothing if it was taken.
  std::string load(const std::string& text) {
    const std::string file = files_.write_file("base.yaml", text);
    return shell(tree().path(".control/tables"), "cp " + file + " base.yaml")
        .output;
  }
  std::string read(const std::string& name) {
    UniqueFd file = open_file(tree().path(name), O_RDONLY);
    std::string text(6, ' ');
    EXPECT_EQ(6, ::pread(file.get(), text.data(), text.size(), 8192));
    return text;
  }
  void finish() {
    while (tree().devices().merge_step("base") != 0) continue;
  }
  std::string tables() {
    return shell(tree().path(".control/tables"), "echo *").output;
  }

  TempDir files_;
};

TEST_F(MergeFile, the_origin_shows_the_snapshot_from_the_first_instant) {
  EXPECT_EQ("", load(kMerge));
  EXPECT_EQ("merged", read("base"));
  finish();
  EXPECT_EQ("merged", read("base"));
}

TEST_F(MergeFile, an_open_origin_is_refused_with_its_users) {
  const std::string file = files_.write_file("base.yaml", kMerge);
  shell(tree().path(),
        "exec 3<base && ! cat " + file + " >.control/tables/base.yaml");
  const std::string errors = read_file(tree().path(".control/errors"));
  EXPECT_NE(std::string::npos, errors.find("its users (open in ")) << errors;
  EXPECT_NE(std::string::npos, errors.find("(bash)")) << errors;
  EXPECT_EQ("live\n", read_file(tree().path(".control/state/snap")));
}

TEST_F(MergeFile, whoever_has_just_closed_the_origin_does_not_count) {
  for (int round = 0; round < 20; ++round) {
    open_file(tree().path("base"), O_RDWR);
    tree().devices().load(read_tables(
        kMerge, {.file = "t", .base_dir = "/", .default_name = "base"}));
    finish();
    tree().devices().remove("snap");
    tree().load("snap", MountedTree::snapshot_text("/cow"));
  }
}

TEST_F(MergeFile, a_second_name_is_a_file_and_not_a_table) {
  UniqueFd snap = open_file(tree().path("snap"), O_RDWR);
  EXPECT_EQ("", load(std::string(kMerge) + "also_as: [snap, third]\n"));
  EXPECT_EQ("base.yaml\n", tables());
  EXPECT_EQ("merged", read("third"));
  EXPECT_EQ(6, ::pwrite(snap.get(), "anew..", 6, 8192));
  EXPECT_EQ("anew..", read("base"));
  EXPECT_EQ("live\nsecond name of base\n",
            read_file(tree().path(".control/state/snap")));
}

TEST_F(MergeFile, a_second_name_is_removed_as_a_table_is) {
  EXPECT_EQ("", load(std::string(kMerge) + "also_as: [snap]\n"));
  finish();
  EXPECT_EQ("", shell(tree().path(".control/tables"), "rm snap.yaml").output);
  EXPECT_NE(0, ::access(tree().path("snap").c_str(), F_OK));
  EXPECT_EQ("merged", read("base"));
}

TEST_F(MergeFile, the_table_of_the_origin_is_back_when_it_has_ended) {
  EXPECT_EQ("", load(kMerge));
  EXPECT_EQ(kMerge, read_file(tree().table("base.yaml")));
  finish();
  EXPECT_EQ(MountedTree::base_text(), read_file(tree().table("base.yaml")));
}

TEST_F(MergeFile, an_origin_that_had_no_table_has_one_when_it_has_ended) {
  shell(tree().path(".control/tables"), "rm snap.yaml base.yaml");
  EXPECT_EQ("", load(kMerge));
  finish();
  EXPECT_EQ(
      "name: \"base\"\ntarget: snapshot-origin\ndevice: \"/origin\"\n"
      "length: 8192\n",
      read_file(tree().table("base.yaml")));
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "config/table_reader.h"
#include "tests/support/temp_dir.h"

namespace snapfs {
namespace {

using test::TempDir;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kOrigin[] = "target: snapshot-origin\ndevice: images/a\n";

std::vector<std::string> names_of(const Spec& spec) {
  std::vector<std::string> names;
  for (const Table& table : spec.tables) names.push_back(table.name);
  return names;
}

// The error of reading SPEC, without the directory's path.
std::string error_of(const TempDir& dir, const std::string& path) {
  try {
    read_spec(path);
  } catch (const TableError& error) {
    std::string text = error.what();
    while (text.find(dir.path() + "/") != std::string::npos)
      text.erase(text.find(dir.path() + "/"), dir.path().size() + 1);
    return text;
  }
  return "no error";
}

// Restores the working directory.
class WorkingDirectory {
 public:
  explicit WorkingDirectory(const std::string& path) {
    std::filesystem::current_path(path);
  }
  ~WorkingDirectory() { std::filesystem::current_path(before_); }

 private:
  std::filesystem::path before_ = std::filesystem::current_path();
};

TEST(SpecReader, a_file_is_named_by_its_stem_and_is_the_base_of_paths) {
  TempDir dir;
  Spec spec = read_spec(dir.write_file("base.v2.yaml", kOrigin));
  EXPECT_EQ(spec.path, dir.path("base.v2.yaml"));
  EXPECT_FALSE(spec.is_directory);
  EXPECT_EQ(spec.base_dir, dir.path());
  EXPECT_THAT(names_of(spec), ElementsAre("base.v2"));
  EXPECT_EQ(std::get<OriginTable>(spec.tables[0].target).device,
            dir.path("images/a"));
  EXPECT_EQ(spec.tables[0].text, kOrigin);
}

TEST(SpecReader, a_file_may_have_any_name) {
  TempDir dir;
  EXPECT_THAT(names_of(read_spec(dir.write_file("vm.conf", kOrigin))),
              ElementsAre("vm"));
}

TEST(SpecReader, a_directory_is_read_in_the_order_of_names) {
  TempDir dir;
  for (const char* name : {"b.yaml", "a.yaml", "B.yaml", "c.yaml"})
    dir.write_file(name, kOrigin);
  Spec spec = read_spec(dir.path());
  EXPECT_TRUE(spec.is_directory);
  EXPECT_EQ(spec.path, dir.path());
  EXPECT_EQ(spec.base_dir, dir.path());
  EXPECT_THAT(names_of(spec), ElementsAre("B", "a", "b", "c"));
}

TEST(SpecReader, a_directory_holds_other_files_too) {
  TempDir dir;
  dir.write_file("a.yaml", kOrigin);
  for (const char* name : {".a.next.yaml", ".hidden.yaml", "b.yml", "README",
                           "c.yaml~", "d.yaml.bak", ".yaml"})
    dir.write_file(name, "not: [a table");
  EXPECT_THAT(names_of(read_spec(dir.path())), ElementsAre("a"));
}

constexpr char kSnapshot[] = "target: snapshot\norigin: a\ncow: a.cow\n";

TEST(SpecReader, next_tables_wait_beside_the_live_ones) {
  TempDir dir;
  dir.write_file("a.yaml", kOrigin);
  dir.write_file("b.yaml", kSnapshot);
  dir.write_file("b.next.yaml", kSnapshot + std::string("activate: now\n"));
  dir.write_file("c.next.yaml", kSnapshot);
  Spec spec = read_spec(dir.path());
  EXPECT_THAT(names_of(spec), ElementsAre("a", "b"));
  ASSERT_EQ(spec.waiting.size(), 2u);
  EXPECT_EQ(spec.waiting[0].name, "b");
  EXPECT_EQ(spec.waiting[1].name, "c");
  for (const Table& table : spec.waiting) EXPECT_TRUE(table.waits);
  for (const Table& table : spec.tables) EXPECT_FALSE(table.waits);
  EXPECT_EQ(spec.files.size(), 4u);
  EXPECT_EQ(spec.files.at("c.next.yaml"), kSnapshot);
}

TEST(SpecReader, next_tables_are_checked_as_all_others) {
  TempDir dir;
  dir.write_file("a.next.yaml", kOrigin);
  EXPECT_EQ(error_of(dir, dir.path()),
            "a.next.yaml:1:1: a snapshot-origin cannot wait, as *.next.yaml "
            "does");
  dir.write_file("a.next.yaml", kSnapshot);
  dir.write_file("b.next.yaml", std::string("name: a\n") + kSnapshot);
  EXPECT_EQ(error_of(dir, dir.path()),
            "b.next.yaml:1:7: the name \"a\" is taken by a.next.yaml:1:1");
}

TEST(SpecReader, a_file_has_tables_that_wait_beside_live_ones_of_their_names) {
  TempDir dir;
  std::string text = "name: b\n" + std::string(kSnapshot);
  Spec spec =
      read_spec(dir.write_file("all.yaml", text + "---\nwaits: true\n" + text));
  EXPECT_THAT(names_of(spec), ElementsAre("b"));
  ASSERT_EQ(spec.waiting.size(), 1u);
  EXPECT_EQ(spec.waiting[0].name, "b");
}

TEST(SpecReader, a_directory_without_tables_is_allowed) {
  TempDir dir;
  EXPECT_THAT(read_spec(dir.path()).tables, IsEmpty());
}

TEST(SpecReader, relative_specs_become_absolute) {
  TempDir dir;
  std::filesystem::create_directory(dir.path("tables"));
  dir.write_file("tables/a.yaml", kOrigin);
  WorkingDirectory in_dir(dir.path());
  for (const char* name : {"tables", "tables/", "tables//"}) {
    Spec spec = read_spec(name);
    EXPECT_EQ(spec.path, dir.path("tables"));
    EXPECT_EQ(spec.base_dir, dir.path("tables"));
    EXPECT_EQ(spec.tables.at(0).place.file, "tables/a.yaml");
  }
  EXPECT_EQ(read_spec("tables/a.yaml").base_dir, dir.path("tables"));
}

TEST(SpecReader, links_are_relative_to_where_they_are) {
  TempDir dir;
  std::filesystem::create_directory(dir.path("real"));
  dir.write_file("real/a.yaml", kOrigin);
  std::filesystem::create_symlink("real/a.yaml", dir.path("link.yaml"));
  Spec spec = read_spec(dir.path("link.yaml"));
  EXPECT_EQ(spec.base_dir, dir.path());
  EXPECT_THAT(names_of(spec), ElementsAre("link"));
}

TEST(SpecReader, names_are_unique_across_files) {
  TempDir dir;
  dir.write_file("a.yaml", std::string("# x\nname: base\n") + kOrigin);
  dir.write_file("base.yaml", kOrigin);
  EXPECT_EQ(error_of(dir, dir.path()),
            "base.yaml:1:1: the name \"base\" is taken by a.yaml:2:7");
}

TEST(SpecReader, errors_name_the_file_as_the_user_did) {
  TempDir dir;
  std::filesystem::create_directory(dir.path("t"));
  dir.write_file("t/a.yaml", kOrigin);
  dir.write_file("t/b.yaml", "target: snapshot\norigin: a\ncow: [\n");
  WorkingDirectory in_dir(dir.path());
  EXPECT_EQ(error_of(dir, "./t/"),
            "./t/b.yaml:4:1: not valid YAML: end of sequence flow not found");
}

TEST(SpecReader, an_empty_file_is_an_error_also_in_a_directory) {
  TempDir dir;
  dir.write_file("a.yaml", "");
  EXPECT_EQ(error_of(dir, dir.path()),
            "a.yaml:1:1: there is no table in this text");
}

TEST(SpecReader, what_is_not_there) {
  TempDir dir;
  EXPECT_EQ(error_of(dir, dir.path("no.yaml")),
            "no.yaml: cannot open: No such file or directory");
  EXPECT_EQ(error_of(dir, ""), "cannot open: No such file or directory");
  dir.write_file("f", kOrigin);
  EXPECT_EQ(error_of(dir, dir.path("f/x")),
            "f/x: cannot open: Not a directory");
  try {
    read_spec(dir.path("no.yaml"));
    FAIL() << "read";
  } catch (const TableError& error) {
    EXPECT_EQ(error.error(), ENOENT);
  }
}

TEST(SpecReader, what_is_no_file_is_not_waited_for) {
  TempDir dir;
  ASSERT_EQ(::mkfifo(dir.path("fifo.yaml").c_str(), 0600), 0);
  EXPECT_EQ(error_of(dir, dir.path("fifo.yaml")),
            "fifo.yaml: not a regular file");
  EXPECT_EQ(error_of(dir, dir.path()), "fifo.yaml: not a regular file");
  EXPECT_EQ(error_of(dir, "/dev/zero"), "/dev/zero: not a regular file");
}

TEST(SpecReader, a_directory_or_a_broken_link_named_like_a_table) {
  TempDir dir;
  std::filesystem::create_directory(dir.path("d.yaml"));
  EXPECT_EQ(error_of(dir, dir.path()), "d.yaml: not a regular file");
  std::filesystem::remove(dir.path("d.yaml"));
  std::filesystem::create_symlink("nowhere", dir.path("l.yaml"));
  EXPECT_EQ(error_of(dir, dir.path()),
            "l.yaml: cannot open: No such file or directory");
}

TEST(SpecReader, a_file_that_is_too_long) {
  TempDir dir;
  EXPECT_EQ(error_of(dir, dir.make_file("big.yaml", 10 << 20)),
            "big.yaml: longer than 1 MiB: not a table");
}

TEST(SpecReader, what_may_not_be_read) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  TempDir dir;
  ASSERT_EQ(::chmod(dir.path().c_str(), 0755), 0);
  dir.write_file("a.yaml", kOrigin);
  std::filesystem::create_directory(dir.path("closed"));
  ASSERT_EQ(::chmod(dir.path("a.yaml").c_str(), 0), 0);
  ASSERT_EQ(::chmod(dir.path("closed").c_str(), 0), 0);
  ASSERT_EQ(::seteuid(65534), 0);
  std::string file_error = error_of(dir, dir.path("a.yaml"));
  std::string directory_error = error_of(dir, dir.path("closed"));
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(file_error, "a.yaml: cannot open: Permission denied");
  EXPECT_EQ(directory_error, "closed: cannot read: Permission denied");
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// .control/tables on a real mount, written with the tools that people use.
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <functional>

#include "tests/unit/fusefs/mounted_tree.h"

namespace snapfs::test {
namespace {

class TableFile : public MountedTest {
 protected:
  void SetUp() override {
    MountedTest::SetUp();
    if (IsSkipped()) return;
    good_ = files_.write_file("good.yaml", MountedTree::snapshot_text("/cow2"));
    bad_ = files_.write_file("bad.yaml", "target: snapshot\nno_such_key: 1\n");
  }

  // In .control/tables, with $good and $bad set.
  CommandResult in_tables(const std::string& command,
                          const std::string& program = "bash") {
    return shell(tree().path(".control/tables"),
                 "good=" + good_ + " && bad=" + bad_ +
                     " && files=" + files_.path() + " && " + command,
                 program);
  }

  std::string errors() { return read_file(tree().path(".control/errors")); }
  std::size_t count_events(const std::string& words) {
    std::string log = read_file(tree().path(".control/log"));
    std::size_t count = 0;
    for (std::size_t at = 0; (at = log.find(words, at)) != std::string::npos;
         ++at) {
      ++count;
    }
    return count;
  }

  // Nothing has come of an attempt to load the device `new`.
  void expect_refused(const std::string& words) {
    EXPECT_FALSE(tree().is_live("new"));
    EXPECT_NE(std::string::npos, errors().find(words)) << errors();
    EXPECT_GE(count_events(" refuse new "), 1U);
    EXPECT_NE(0, ::access(tree().table("new.yaml").c_str(), F_OK));
  }

  TempDir files_;
  std::string good_;
  std::string bad_;
};

// ---- Loading

struct Way {
  const char* name;
  const char* command;  // $source -> new.yaml
  const char* program = "bash";
  bool tells = true;  // the command fails if the table is refused
  const char* needs = "bash";
};

class EveryWay : public TableFile, public ::testing::WithParamInterface<Way> {
 protected:
  void SetUp() override {
    TableFile::SetUp();
    if (IsSkipped()) return;
    if (!has_program(GetParam().needs)) {
      GTEST_SKIP() << "there is no " << GetParam().needs;
    }
  }
  CommandResult write_from(const std::string& source) {
    return in_tables("source=" + source + "; " + GetParam().command,
                     GetParam().program);
  }
};

TEST_P(EveryWay, loads_a_table_once) {
  CommandResult result = write_from("$good");
  EXPECT_EQ(0, result.status) << result.output;
  eventually([&] { return count_events(" load new ") == 1; });
  EXPECT_TRUE(tree().is_live("new"));
  EXPECT_EQ(0U, count_events(" refuse "));
  EXPECT_EQ(0, ::access(tree().path("new").c_str(), F_OK));
}

TEST_P(EveryWay, hears_of_a_refusal) {
  CommandResult result = write_from("$bad");
  if (GetParam().tells) {
    EXPECT_NE(0, result.status) << result.output;
  }
  // The last that comes of it.
  eventually([&] {
    return ::access(tree().table("new.rejected").c_str(), F_OK) == 0;
  });
  expect_refused("tables/new.yaml:2:1: ");
  EXPECT_EQ(1U, count_events(" refuse new "));
  EXPECT_EQ(read_file(bad_), read_file(tree().table("new.rejected")));
}

INSTANTIATE_TEST_SUITE_P(
    Tools, EveryWay,
    ::testing::Values(
        Way{"cp", "cp $source new.yaml"},
        Way{"cp_preserving", "cp -p $source new.yaml"},
        Way{"tee", "tee new.yaml < $source > $files/out"},
        Way{"cat", "cat $source > new.yaml"},
        Way{"cat_in_dash", "cat $source > new.yaml", "dash"},
        Way{"cat_twice",
            "head -n 1 $source > $files/1; tail -n +2 $source > $files/2; "
            "{ cat $files/1; cat $files/2; } > new.yaml",
            "bash", false},
        Way{"echo", "echo \"$(cat $source)\" > new.yaml", "bash", false},
        Way{"printf", "printf '%s\\n' \"$(cat $source)\" > new.yaml", "dash",
            false},
        Way{"loop",
            "while read -r line; do echo \"$line\"; done < $source "
            "> new.yaml",
            "bash", false},
        Way{"descriptor", "exec 3> new.yaml; cat $source >&3; exec 3>&-",
            "bash", false},
        Way{"dd", "dd if=$source of=new.yaml conv=fsync bs=7"},
        Way{"install", "install -m 600 $source new.yaml"},
        Way{"mv_from_elsewhere", "cp $source $files/m; mv $files/m new.yaml"},
        Way{"mv_from_here", "cp $source x.tmp; mv x.tmp new.yaml"},
        Way{"python",
            "python3 -c 'import sys; f = open(\"new.yaml\", \"w\"); "
            "f.write(open(sys.argv[1]).read()); f.close()' $source",
            "bash", true, "python3"},
        Way{"vim",
            "vim -u NONE -es -c \"0read $source\" -c '$g/^$/d' -c 'wq!' "
            "new.yaml",
            "bash", false, "vim"}),
    [](const auto& way) { return std::string(way.param.name); });

TEST_F(TableFile, refusal_of_rename_is_no_nonsense) {
  CommandResult result = in_tables("cp $bad x.tmp && mv x.tmp new.yaml");
  EXPECT_NE(0, result.status);
  EXPECT_NE(std::string::npos, result.output.find("Bad message"))
      << result.output;
  expect_refused("tables/new.yaml:2:1: ");
  EXPECT_EQ(read_file(bad_), read_file(tree().table("x.tmp")));
}

TEST_F(TableFile, accepted_text_clears_the_rejected_one) {
  in_tables("cp $bad new.yaml");
  ASSERT_EQ(0, ::access(tree().table("new.rejected").c_str(), F_OK));
  CommandResult result = in_tables("cp $good new.yaml");
  EXPECT_EQ(0, result.status) << result.output;
  EXPECT_TRUE(tree().is_live("new"));
  EXPECT_NE(0, ::access(tree().table("new.rejected").c_str(), F_OK));
}

TEST_F(TableFile, live_name_is_refused_and_stays_live) {
  ino_t before = 0;
  struct stat result {};
  ASSERT_EQ(0, ::stat(tree().path("snap").c_str(), &result));
  before = result.st_ino;
  for (const char* command :
       {"cp $good snap.yaml", "cp $good m && mv m snap.yaml",
        "cp $good $files/m; mv -f $files/m snap.yaml",
        "install $good snap.yaml", "sed -i s,/cow,/cow2, snap.yaml"}) {
    EXPECT_NE(0, in_tables(command).status) << command;
    ASSERT_TRUE(tree().is_live("snap")) << command;
    ASSERT_EQ(0, ::stat(tree().path("snap").c_str(), &result)) << command;
    EXPECT_EQ(before, result.st_ino) << command;
    EXPECT_EQ(MountedTree::snapshot_text("/cow"),
              read_file(tree().table("snap.yaml")))
        << command;
  }
  EXPECT_EQ(0U, count_events(" remove snap "));
}

TEST_F(TableFile, writing_the_live_text_again_succeeds) {
  for (const char* command :
       {"cp snap.yaml $files/copy && cp $files/copy snap.yaml",
        "sed -i s,x-never-there,, snap.yaml", "cat $files/copy > snap.yaml",
        "mv $files/copy snap.yaml"}) {
    CommandResult result = in_tables(command);
    EXPECT_EQ(0, result.status) << command << result.output;
  }
  EXPECT_EQ(0U, count_events(" refuse "));
  EXPECT_EQ(1U, count_events(" load snap "));
  EXPECT_TRUE(tree().is_live("snap"));
}

TEST_F(TableFile, truncation_alone_changes_nothing) {
  CommandResult result =
      in_tables(": > snap.yaml; truncate -s 0 snap.yaml; touch snap.yaml");
  EXPECT_EQ(0, result.status) << result.output;
  EXPECT_EQ(MountedTree::snapshot_text("/cow"),
            read_file(tree().table("snap.yaml")));
  EXPECT_EQ(0U, count_events(" refuse "));
}

// Writes the text to new.yaml in a child process, which then ends itself.
class TableWriter : public TableFile {
 protected:
  void write_and_end(const std::function<void()>& end) {
    std::string path = tree().table("new.yaml");
    std::string text = MountedTree::snapshot_text("/cow2");
    pid_t child = ::fork();
    if (child == 0) {
      int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      if (::write(fd, text.data(), text.size()) > 0) end();
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(child, ::waitpid(child, &status, 0));
  }
};

TEST_F(TableWriter, text_of_a_killed_writer_is_not_taken) {
  write_and_end([] { ::raise(SIGKILL); });
  expect_refused("tables/new.yaml: the process that wrote it was killed");
}

TEST_F(TableWriter, text_of_a_writer_that_exits_is_taken) {
  write_and_end([] {});
  EXPECT_TRUE(tree().is_live("new"));
}

TEST_F(TableWriter, text_that_the_opener_never_closed_is_taken_at_the_end) {
  std::string path = tree().table("new.yaml");
  std::string text = MountedTree::snapshot_text("/cow2");
  pid_t opener = ::fork();
  if (opener == 0) {
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t self = ::getpid();
    if (::fork() != 0) ::_exit(0);
    while (::getppid() == self) ::usleep(1000);
    ::_exit(::write(fd, text.data(), text.size()) > 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(opener, ::waitpid(opener, &status, 0));
  eventually([&] { return tree().is_live("new"); });
}

// ---- Removing

TEST_F(TableFile, rm_removes_the_device) {
  CommandResult result = in_tables("rm snap.yaml && ls ../..");
  EXPECT_EQ(0, result.status) << result.output;
  EXPECT_EQ("base\n", result.output);
  EXPECT_FALSE(tree().is_live("snap"));
}

TEST_F(TableFile, device_that_is_open_cannot_be_removed) {
  UniqueFd fd = open_file(tree().path("snap"), O_RDONLY);
  EXPECT_NE(0, in_tables("rm snap.yaml").status);
  EXPECT_EQ(EBUSY, error_of(::unlink(tree().table("snap.yaml").c_str())));
  EXPECT_TRUE(tree().is_live("snap"));
  EXPECT_EQ(0, ::access(tree().path("snap").c_str(), F_OK));
}

// The kernel lets close(2) return before it tells the mount.
TEST_F(TableFile, device_can_be_removed_as_soon_as_it_is_closed) {
  for (int i = 0; i < 50; ++i) {
    std::string name = "again" + std::to_string(i);
    tree().load(name, MountedTree::snapshot_text("/cow2"));
    UniqueFd fd = open_file(tree().path(name), O_RDONLY);
    std::string table = tree().table(name + ".yaml");
    fd.reset();
    ASSERT_EQ(0, error_of(::unlink(table.c_str()))) << i;
    in_tables(": > settled; rm settled");  // as does what others do here
    ASSERT_FALSE(tree().is_live(name));
  }
}

TEST_F(TableFile, unlinked_device_is_gone_at_once_and_removed_at_exit) {
  int ends[2];
  ASSERT_EQ(0, ::pipe2(ends, O_CLOEXEC));
  UniqueFd go_read(ends[0]);
  UniqueFd go_write(ends[1]);
  pid_t child = ::fork();
  if (child == 0) {
    if (::unlink(tree().table("snap.yaml").c_str()) != 0) ::_exit(1);
    bool hidden = ::access(tree().path("snap").c_str(), F_OK) != 0 &&
                  ::access(tree().table("snap.yaml").c_str(), F_OK) != 0;
    ::_exit(hidden ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(child, ::waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  eventually([&] { return !tree().is_live("snap"); });
}

TEST_F(TableFile, unlinked_device_is_removed_before_what_another_does) {
  // This process unlinks and lives on.
  ASSERT_EQ(0, ::unlink(tree().table("snap.yaml").c_str()));
  CommandResult result = in_tables("cp $good new.yaml");
  EXPECT_EQ(0, result.status) << result.output;
  EXPECT_FALSE(tree().is_live("snap"));
}

TEST_F(TableFile, unlinked_device_is_removed_although_the_process_lives) {
  ASSERT_EQ(0, ::unlink(tree().table("snap.yaml").c_str()));
  eventually([&] { return count_events(" remove snap ") == 1; });
  EXPECT_FALSE(tree().is_live("snap"));
}

TEST_F(TableFile, unlink_and_create_by_one_process_replaces) {
  ASSERT_EQ(0, ::unlink(tree().table("snap.yaml").c_str()));
  UniqueFd fd =
      open_file(tree().table("snap.yaml"), O_WRONLY | O_CREAT | O_EXCL);
  EXPECT_EQ(0, ::access(tree().path("snap").c_str(), F_OK));
  std::string text = MountedTree::snapshot_text("/cow2");
  ASSERT_EQ(static_cast<ssize_t>(text.size()),
            ::write(fd.get(), text.data(), text.size()));
  EXPECT_NE(0, ::close(fd.release()));  // live: a handover
  EXPECT_TRUE(tree().is_live("snap"));
  EXPECT_EQ(0U, count_events(" remove snap "));
}

TEST_F(TableFile, unlinked_and_made_again_from_its_own_text_stays) {
  CommandResult result =
      in_tables("cp snap.yaml $files/s && mv $files/s snap.yaml");
  EXPECT_EQ(0, result.status) << result.output;
  EXPECT_TRUE(tree().is_live("snap"));
  EXPECT_EQ(0U, count_events(" remove snap "));
}

TEST_F(TableFile, removal_that_waits_is_carried_out_at_shut_down) {
  ASSERT_EQ(0, ::unlink(tree().table("snap.yaml").c_str()));
  tree().filesystem().shut_down();
  EXPECT_FALSE(tree().is_live("snap"));
}

TEST_F(TableFile, removed_device_can_be_loaded_again) {
  std::string text = read_file(tree().table("snap.yaml"));
  std::string copy = files_.write_file("snap.yaml", text);
  CommandResult result = in_tables("rm snap.yaml && cp " + copy + " .");
  EXPECT_EQ(0, result.status) << result.output;
  EXPECT_TRUE(tree().is_live("snap"));
}

// ---- Editors

TEST_F(TableFile, renaming_a_live_table_away_leaves_the_device) {
  CommandResult result = in_tables("mv snap.yaml snap.yaml~ && cat snap.yaml~");
  EXPECT_EQ(0, result.status) << result.output;
  EXPECT_EQ(MountedTree::snapshot_text("/cow"), result.output);
  EXPECT_TRUE(tree().is_live("snap"));
  EXPECT_EQ(0, ::access(tree().path("snap").c_str(), F_OK));
  eventually(
      [&] { return ::access(tree().table("snap.yaml").c_str(), F_OK) == 0; });
}

TEST_F(TableFile, backup_can_be_renamed_back) {
  std::string table = tree().table("snap.yaml");
  ASSERT_EQ(0, ::rename(table.c_str(), (table + "~").c_str()));
  EXPECT_NE(0, ::access(table.c_str(), F_OK));
  EXPECT_EQ(0, error_of(::rename((table + "~").c_str(), table.c_str())));
  EXPECT_EQ(0, ::access(table.c_str(), F_OK));
  EXPECT_NE(0, ::access((table + "~").c_str(), F_OK));
  EXPECT_TRUE(tree().is_live("snap"));
}

TEST_F(TableFile, vim_loads_what_it_writes_with_both_kinds_of_backup) {
  if (!has_program("vim")) GTEST_SKIP() << "there is no vim";
  for (const char* copy : {"yes", "no"}) {
    CommandResult result = in_tables(
        std::string("vim -u NONE -es -c 'set backup backupcopy=") + copy +
        "' -c '%s/no-such-thing//e' -c 'wq!' snap.yaml; ls -A");
    EXPECT_TRUE(tree().is_live("snap")) << result.output;
    EXPECT_EQ(0U, count_events(" refuse ")) << errors();
    EXPECT_EQ(std::string::npos, result.output.find(".swp"));
  }
}

TEST_F(TableFile, scratch_files_are_ordinary_and_without_effect) {
  CommandResult result = in_tables(
      "cp $good .new.yaml.swp && cp $good 4913 && echo more >> 4913 && "
      "mv 4913 new.yaml~ && tail -n 1 new.yaml~ && truncate -s 6 new.yaml~ && "
      "cat new.yaml~ && chmod 644 new.yaml~ && touch -d 2001-01-01 new.yaml~ "
      "&& rm new.yaml~ .new.yaml.swp && ls -A");
  EXPECT_EQ(
      "more\ntarget"
      "base.yaml\nsnap.yaml\n",
      result.output);
  EXPECT_FALSE(tree().is_live("new"));
}

TEST_F(TableFile, scratch_files_are_bounded) {
  CommandResult result = in_tables(
      "for i in $(seq 256); do : > s$i || exit 1; done; ! : > one-more");
  EXPECT_EQ(0, result.status) << result.output;
  EXPECT_NE(std::string::npos, result.output.find("No space left"));
  EXPECT_NE(0, in_tables("head -c 1048577 /dev/zero > s1").status);
  EXPECT_NE(0, in_tables("head -c 1048577 /dev/zero > new.yaml").status);
  EXPECT_FALSE(tree().is_live("new"));
}

TEST_F(TableFile, names_that_cannot_be_devices_are_refused) {
  EXPECT_NE(0, in_tables("cp $good 'two words.yaml'").status);
  EXPECT_NE(std::string::npos, errors().find("tables/two words.yaml: "));
  EXPECT_NE(0, in_tables("cp $good new.next.yaml").status);
  EXPECT_NE(0, in_tables("cp $good new.rejected").status);
  EXPECT_NE(0, in_tables("cp $good x; mv x new.rejected").status);
  EXPECT_NE(0, in_tables("mkdir d").status);
  EXPECT_NE(0, in_tables("mv snap.yaml other.yaml").status);
  EXPECT_NE(0, in_tables("mv snap.yaml ../../other").status);
  EXPECT_TRUE(tree().is_live("snap"));
}

TEST_F(TableFile, several_documents_load_together_or_not_at_all) {
  std::string first = "name: first\n" + MountedTree::snapshot_text("/cow2");
  std::string second =
      "---\nname: second\ntarget: snapshot-origin\ndevice: /second\n";
  std::string both = files_.write_file("both", first + second);
  EXPECT_NE(0, in_tables("cp " + both + " set.yaml").status);
  EXPECT_FALSE(tree().is_live("first"));
  tree().add_device("/second", std::make_shared<MemoryDevice>(1 << 20));
  CommandResult result = in_tables("cp " + both + " set.yaml && ls -A");
  EXPECT_EQ("base.yaml\nfirst.yaml\nsecond.yaml\nsnap.yaml\n", result.output);
  EXPECT_TRUE(tree().is_live("first"));
  EXPECT_TRUE(tree().is_live("second"));
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Suspending, resuming and handing over, as the files of a real mount show it:
// what appears and goes, what open files and mappings see, what is refused.
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/error.h"
#include "fusefs/cache_notifier.h"
#include "tests/unit/fusefs/mounted_tree.h"

namespace snapfs::test {
namespace {

class HandoverFile : public MountedTest {
 protected:
  // A table on the COW that `snap` has.
  static std::string table_text(const std::string& more = "") {
    return "target: snapshot\norigin: base\ncow: /cow\n" + more;
  }
  std::string control(const std::string& name) {
    return tree().path(".control/" + name);
  }
  std::string state(const std::string& name) {
    return read_file(control("state/" + name));
  }
  std::string errors() { return read_file(control("errors")); }

  // The errno of writing `text` to the file, at write(2) or close(2).
  int write_text(const std::string& path, const std::string& text,
                 int flags = O_WRONLY | O_CREAT | O_TRUNC) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
    if (!fd) return errno;
    ssize_t count = ::write(fd.get(), text.data(), text.size());
    int error = error_of(count);
    if (error == 0) {
      EXPECT_EQ(static_cast<ssize_t>(text.size()), count);
    }
    int close_error = error_of(::close(fd.release()));
    return error != 0 ? error : close_error;
  }
  int command(const std::string& name, const std::string& word) {
    return write_text(control("state/" + name), word + "\n",
                      O_WRONLY | O_TRUNC);
  }
  int load(const std::string& name, const std::string& more = "") {
    return write_text(tree().table(name + ".yaml"), table_text(more));
  }
  void put(const std::string& name, const std::string& text, off_t at) {
    UniqueFd fd = open_file(tree().path(name), O_RDWR);
    ASSERT_EQ(static_cast<ssize_t>(text.size()),
              ::pwrite(fd.get(), text.data(), text.size(), at));
  }
  static std::string get(const UniqueFd& fd, std::size_t size, off_t at) {
    std::string text(size, '\0');
    ssize_t count = ::pread(fd.get(), text.data(), size, at);
    return count < 0 ? "errno " + std::to_string(errno)
                     : text.substr(0, static_cast<std::size_t>(count));
  }
  std::string get(const std::string& name, std::size_t size, off_t at) {
    return get(open_file(tree().path(name), O_RDONLY), size, at);
  }
  bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
  }
  std::size_t parked(const std::string& name) {
    return tree().devices().find(name)->admission().parked_count();
  }
  void wait_until_parked(const std::string& name, std::size_t count) {
    eventually([&] { return parked(name) == count; });
  }
  // Once the kernel has told of the last close.
  void expect_removable(const std::string& name) {
    eventually(
        [&] { return ::unlink(tree().table(name + ".yaml").c_str()) == 0; });
  }
};

// A page of a file, mapped shared by a process that does with it what it is
// told to.
class MappedPage {
 public:
  MappedPage(const UniqueFd& fd, int protection) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::runtime_error("socketpair");
    ours_ = UniqueFd(ends[0]);
    theirs_ = UniqueFd(ends[1]);
    child_.emplace([&] { return serve(fd.get(), protection); });
    theirs_.reset();
  }

  char get(int index) { return ask({What::get, index, '\0'}); }
  void put(int index, char value) { ask({What::put, index, value}); }
  int sync() { return ask({What::sync, 0, '\0'}); }

  // What get() came to where it did not return, as waitpid(2) tells it.
  int end_of_get(int index) {
    const Order order{What::get, index, '\0'};
    EXPECT_EQ(ssize_t{sizeof order},
              ::write(ours_.get(), &order, sizeof order));
    return child_->wait();
  }

 private:
  enum class What { get, put, sync };
  struct Order {
    What what;
    int index;
    char value;
  };

  char ask(const Order& order) {
    char answer = '?';
    EXPECT_EQ(ssize_t{sizeof order},
              ::write(ours_.get(), &order, sizeof order));
    EXPECT_EQ(1, ::read(ours_.get(), &answer, 1));
    return answer;
  }

  int serve(int fd, int protection) {
    ours_.reset();
    ::signal(SIGBUS, SIG_DFL);  // which a sanitizer has taken
    void* at = ::mmap(nullptr, kBytes, protection, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return 1;
    auto* bytes = static_cast<volatile char*>(at);
    Order order;
    while (::read(theirs_.get(), &order, sizeof order) == sizeof order) {
      char answer = '\0';
      if (order.what == What::get) answer = bytes[order.index];
      if (order.what == What::put) bytes[order.index] = order.value;
      if (order.what == What::sync && ::msync(at, kBytes, MS_SYNC) != 0)
        answer = static_cast<char>(errno);
      if (::write(theirs_.get(), &answer, 1) != 1) return 2;
    }
    return 0;
  }

  static constexpr std::size_t kBytes = 4096;
  UniqueFd ours_;
  UniqueFd theirs_;
  std::optional<Child> child_;
};

// ---- The tree

TEST_F(HandoverFile, a_device_that_waits_is_no_file) {
  ASSERT_EQ(0, load("next"));

  EXPECT_EQ("waiting for snap\n", state("next"));
  EXPECT_FALSE(exists(tree().path("next")));
  EXPECT_EQ("base\nsnap\n", shell(tree().path(), "ls").output);
  EXPECT_EQ("base\nnext\nsnap\n",
            shell(tree().path(), "ls .control/state").output);
  EXPECT_EQ("next: \n", read_file(control("status/next")));
  EXPECT_EQ(table_text(), read_file(tree().table("next.yaml")));
  EXPECT_EQ(table_text(), read_file(tree().table("next.next.yaml")));
}

TEST_F(HandoverFile, a_manual_table_is_no_file_until_it_is_resumed) {
  std::string text = MountedTree::snapshot_text("/cow2") + "activate: manual\n";
  ASSERT_EQ(0, write_text(tree().table("new.yaml"), text));
  EXPECT_EQ("loaded\n", state("new"));
  EXPECT_FALSE(exists(tree().path("new")));

  EXPECT_EQ(0, command("new", "resume"));

  EXPECT_EQ("live\n", state("new"));
  EXPECT_TRUE(exists(tree().path("new")));
  EXPECT_FALSE(exists(tree().table("new.next.yaml")));
}

TEST_F(HandoverFile, suspend_hands_over_to_another_name) {
  put("snap", "old", 0);
  UniqueFd old = open_file(tree().path("snap"), O_RDWR);
  ASSERT_EQ(0, load("next"));

  ASSERT_EQ(0, command("snap", "suspend"));

  EXPECT_EQ("live\n", state("next"));
  EXPECT_EQ("handed over to next\n", state("snap"));
  EXPECT_EQ("old", get("next", 3, 0));
  EXPECT_EQ("errno 5", get(old, 3, 0));
  EXPECT_EQ("errno 5", get("snap", 3, 0));
  EXPECT_EQ(EIO, error_of(::pwrite(old.get(), "x", 1, 0)));
  EXPECT_TRUE(read_file(control("status/snap"))
                  .starts_with("snap: 0 8192 snapshot Invalid\n"));
  EXPECT_EQ("base\nnext\nsnap\n", shell(tree().path(), "ls").output);
}

TEST_F(HandoverFile, what_was_handed_over_can_be_removed_while_it_is_open) {
  UniqueFd old = open_file(tree().path("snap"), O_RDWR);
  ASSERT_EQ(0, load("next"));
  ASSERT_EQ(0, command("snap", "suspend"));
  EXPECT_EQ(EBUSY, load("third"));

  CommandResult result = shell(tree().path(".control/tables"), "rm snap.yaml");

  EXPECT_EQ(0, result.status) << result.output;
  EXPECT_FALSE(exists(tree().path("snap")));
  EXPECT_EQ("errno 5", get(old, 3, 0));
  EXPECT_EQ(0, load("snap"));
  EXPECT_EQ("waiting for next\n", state("snap"));
}

TEST_F(HandoverFile, the_same_name_goes_on_under_the_new_table) {
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  ASSERT_EQ(3, ::pwrite(fd.get(), "old", 3, 0));
  ASSERT_EQ(0, load("snap", "length: 2MiB\n"));
  EXPECT_EQ("live\nnext: waiting for snap\n", state("snap"));
  EXPECT_EQ(MountedTree::snapshot_text("/cow"),
            read_file(tree().table("snap.yaml")));
  EXPECT_EQ(table_text("length: 2MiB\n"),
            read_file(tree().table("snap.next.yaml")));

  ASSERT_EQ(0, command("snap", "suspend"));

  EXPECT_EQ("live\n", state("snap"));
  EXPECT_EQ("old", get(fd, 3, 0));
  EXPECT_EQ(3, ::pwrite(fd.get(), "new", 3, 0));
  EXPECT_EQ("new", get(fd, 3, 0));
  struct stat status {};
  ASSERT_EQ(0, ::fstat(fd.get(), &status));
  EXPECT_EQ(off_t{2} << 20, status.st_size);
  EXPECT_EQ(ENOSPC, error_of(::pwrite(fd.get(), "x", 1, off_t{2} << 20)));
  EXPECT_EQ(table_text("length: 2MiB\n"), read_file(tree().table("snap.yaml")));
  EXPECT_FALSE(exists(tree().table("snap.next.yaml")));
}

TEST_F(HandoverFile, a_longer_file_is_seen_at_once) {
  put("base", "far", 3 << 20);
  ASSERT_EQ(0, load("snap", "length: 2MiB\n"));
  ASSERT_EQ(0, command("snap", "suspend"));
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  EXPECT_EQ(off_t{2} << 20, ::lseek(fd.get(), 0, SEEK_END));
  EXPECT_EQ("", get(fd, 3, 3 << 20));

  ASSERT_EQ(0, load("snap", "length: 4MiB\n"));
  ASSERT_EQ(0, command("snap", "suspend"));

  EXPECT_EQ(off_t{4} << 20, ::lseek(fd.get(), 0, SEEK_END));
  EXPECT_EQ(std::string(3, '\0'), get(fd, 3, 3 << 20));
}

TEST_F(HandoverFile, activate_now_does_it_all_when_the_table_is_loaded) {
  put("snap", "old", 0);
  ASSERT_EQ(0, load("next", "activate: now\n"));
  EXPECT_EQ("live\n", state("next"));
  EXPECT_EQ("old", get("next", 3, 0));
}

TEST_F(HandoverFile, activate_manual_has_the_three_steps_of_dmsetup) {
  ASSERT_EQ(0, load("next", "activate: manual\n"));
  EXPECT_EQ(EINVAL, command("next", "resume"));
  EXPECT_NE(std::string::npos,
            errors().find("state/next: Unable to perform snapshot handover "
                          "until source is suspended"))
      << errors();
  ASSERT_EQ(0, command("snap", "suspend"));
  EXPECT_EQ("suspended\n", state("snap"));
  EXPECT_EQ(EINVAL, command("snap", "resume"));
  EXPECT_NE(std::string::npos, errors().find("Unable to resume snapshot source "
                                             "until handover completes"));
  EXPECT_FALSE(exists(tree().path("next")));

  ASSERT_EQ(0, command("next", "resume"));

  EXPECT_EQ("live\n", state("next"));
  EXPECT_EQ("handed over to next\n", state("snap"));
}

TEST_F(HandoverFile, two_documents_are_handed_over_in_one_step) {
  tree().load("two", MountedTree::snapshot_text("/cow2"));
  std::string pair =
      "---\nname: a\ntarget: snapshot\norigin: base\ncow: /cow\n"
      "---\nname: b\ntarget: snapshot\norigin: base\ncow: /cow2\n";
  ASSERT_EQ(0, write_text(tree().table("pair.yaml"), pair));
  ASSERT_EQ(0, command("snap", "suspend"));
  EXPECT_EQ("suspended\n", state("snap"));
  EXPECT_EQ("waiting for snap\n", state("a"));

  ASSERT_EQ(0, command("two", "suspend"));

  EXPECT_EQ("live\n", state("a"));
  EXPECT_EQ("live\n", state("b"));
  EXPECT_EQ("a\nb\nbase\nsnap\ntwo\n", shell(tree().path(), "ls").output);
}

TEST_F(HandoverFile, clearing_one_of_two_documents_cancels_both) {
  tree().load("two", MountedTree::snapshot_text("/cow2"));
  std::string pair =
      "---\nname: a\ntarget: snapshot\norigin: base\ncow: /cow\n"
      "---\nname: b\ntarget: snapshot\norigin: base\ncow: /cow2\n";
  ASSERT_EQ(0, write_text(tree().table("pair.yaml"), pair));

  ASSERT_EQ(0, ::unlink(tree().table("b.next.yaml").c_str()));

  EXPECT_EQ("base\nsnap\ntwo\n",
            shell(tree().path(), "ls .control/state").output);
}

// ---- NAME.next.yaml

TEST_F(HandoverFile, removing_the_next_table_leaves_the_source_as_it_was) {
  put("snap", "old", 0);
  for (const char* name : {"next", "snap"}) {
    for (bool frozen : {false, true}) {
      ASSERT_EQ(0, load(name, "activate: manual\n"));
      if (frozen) {
        ASSERT_EQ(0, command("snap", "suspend"));
      }
      CommandResult result = shell(tree().path(".control/tables"),
                                   "rm " + std::string(name) + ".next.yaml");
      EXPECT_EQ(0, result.status) << result.output;
      EXPECT_EQ(frozen ? "suspended\n" : "live\n", state("snap"));
      ASSERT_EQ(0, command("snap", "resume"));
      EXPECT_EQ("live\n", state("snap"));
      EXPECT_EQ("old", get("snap", 3, 0));
      EXPECT_FALSE(exists(tree().table(std::string(name) + ".next.yaml")));
    }
  }
  EXPECT_FALSE(exists(tree().table("next.yaml")));
}

TEST_F(HandoverFile, the_next_table_cannot_be_written) {
  ASSERT_EQ(0, load("next"));
  for (const char* way : {"echo x > next.next.yaml", "cp $good next.next.yaml",
                          "cp $good copy && mv copy next.next.yaml",
                          "cp $good x.tmp; mv x.tmp next.next.yaml",
                          "echo x > other.next.yaml"}) {
    TempDir files;
    std::string good = files.write_file("good", table_text());
    CommandResult result =
        shell(tree().path(".control/tables"), "good=" + good + "; " + way);
    EXPECT_NE(0, result.status) << way;
    EXPECT_EQ(table_text(), read_file(tree().table("next.next.yaml"))) << way;
    EXPECT_EQ("waiting for snap\n", state("next")) << way;
  }
  // From another filesystem: what is there is unlinked first.
  TempDir files;
  files.write_file("moved", table_text());
  CommandResult result =
      shell(files.path(), "mv moved " + tree().table("next.next.yaml"));
  EXPECT_NE(0, result.status);
  EXPECT_EQ("waiting for snap\n", state("next"));
  EXPECT_NE(std::string::npos, errors().find("write tables/next.yaml"));
}

// ---- Tables

TEST_F(HandoverFile, every_way_of_writing_a_table_replaces_a_live_one) {
  TempDir files;
  const char* ways[] = {
      "cat $new > snap.yaml",
      "cp $new snap.yaml",
      "tee snap.yaml < $new > /dev/null",
      "mv $new snap.yaml",
      "cp $new x.tmp; mv x.tmp snap.yaml",
      "install -m 600 $new snap.yaml",
      "sed -i -e \"\\$a# $number\" snap.yaml",
  };
  int number = 0;
  for (const char* way : ways) {
    SCOPED_TRACE(way);
    std::string more = "# " + std::to_string(++number) + "\n";
    std::string path = files.write_file("new", table_text(more));
    CommandResult result = shell(
        tree().path(".control/tables"),
        "new=" + path + "; number=" + std::to_string(number) + "; " + way);
    EXPECT_EQ(0, result.status) << result.output;
    eventually(
        [&] { return state("snap") == "live\nnext: waiting for snap\n"; });
    std::string next = read_file(tree().table("snap.next.yaml"));
    EXPECT_TRUE(next.ends_with(more)) << next;
    ASSERT_EQ(0, command("snap", "suspend"));
    EXPECT_EQ("live\n", state("snap"));
    EXPECT_EQ(next, read_file(tree().table("snap.yaml")));
  }
}

TEST_F(HandoverFile, the_text_of_the_live_table_replaces_a_waiting_one) {
  ASSERT_EQ(0, load("snap", "length: 2MiB\n"));
  std::string live = MountedTree::snapshot_text("/cow");
  ASSERT_EQ(0, write_text(tree().table("snap.yaml"), live));
  EXPECT_EQ(live, read_file(tree().table("snap.next.yaml")));
}

TEST_F(HandoverFile, a_refused_table_leaves_the_live_and_the_waiting_one) {
  ASSERT_EQ(0, load("snap", "length: 2MiB\n"));
  TempDir files;
  std::string bad = files.write_file("bad", table_text("chunk_size: 8KiB\n"));
  for (const char* way :
       {"cp $bad snap.yaml", "cp $bad x.tmp; mv x.tmp snap.yaml",
        "cp $bad copy.yaml", "cp $bad $files/m; mv $files/m snap.yaml"}) {
    SCOPED_TRACE(way);
    CommandResult result =
        shell(tree().path(".control/tables"),
              "bad=" + bad + "; files=" + files.path() + "; " + way);
    EXPECT_NE(0, result.status);
    EXPECT_EQ("live\nnext: waiting for snap\n", state("snap"));
    EXPECT_EQ(table_text("length: 2MiB\n"),
              read_file(tree().table("snap.next.yaml")));
  }
  EXPECT_NE(std::string::npos, errors().find("leave the chunk size out"));
}

TEST_F(HandoverFile, a_source_is_not_removed_while_a_table_waits_for_it) {
  ASSERT_EQ(0, load("next"));
  std::string path = tree().table("snap.yaml");
  EXPECT_EQ(EBUSY, error_of(::unlink(path.c_str())));
  CommandResult result = shell(tree().path(".control/tables"), "rm snap.yaml");
  EXPECT_NE(0, result.status);
  EXPECT_NE(std::string::npos, result.output.find("busy")) << result.output;
  EXPECT_NE(std::string::npos,
            errors().find("tables/snap.yaml: not removed: next waits for the "
                          "store of snap"))
      << errors();
  EXPECT_EQ("live\n", state("snap"));
  EXPECT_EQ("waiting for snap\n", state("next"));
}

TEST_F(HandoverFile, removing_a_device_that_waits_cancels_it) {
  ASSERT_EQ(0, load("next"));
  CommandResult result = shell(tree().path(".control/tables"), "rm next.yaml");
  EXPECT_EQ(0, result.status) << result.output;
  EXPECT_FALSE(exists(control("state/next")));
  expect_removable("snap");
}

// ---- state/NAME

TEST_F(HandoverFile, a_command_is_a_word_with_or_without_a_newline) {
  std::string path = control("state/snap");
  for (int flags :
       {O_WRONLY, O_WRONLY | O_TRUNC, O_RDWR, O_WRONLY | O_APPEND}) {
    EXPECT_EQ(0, write_text(path, "suspend", flags));
    EXPECT_EQ("suspended\n", state("snap"));
    EXPECT_EQ(0, write_text(path, " resume \n", flags));
    EXPECT_EQ("live\n", state("snap"));
  }
  EXPECT_EQ(0, write_text(path, "\n", O_WRONLY));
  EXPECT_EQ(0, shell(tree().path(),
                     "echo suspend > .control/state/snap; "
                     "printf 'resume\\n' > .control/state/snap")
                   .status);
  EXPECT_EQ("live\n", state("snap"));
}

TEST_F(HandoverFile, an_unknown_command_names_the_known_ones) {
  EXPECT_EQ(EINVAL, command("snap", "freeze"));
  EXPECT_NE(std::string::npos,
            errors().find("state/snap: unknown command \"freeze\" (suspend, "
                          "resume, abort, revert)"))
      << errors();
  std::string log = read_file(control("log"));
  EXPECT_NE(std::string::npos, log.find(" refuse snap unknown command"));
  EXPECT_EQ(EINVAL, command("snap", "suspend\nresume"));
  EXPECT_EQ("live\n", state("snap"));
}

TEST_F(HandoverFile, a_command_says_so_when_the_shell_writes_it) {
  CommandResult result =
      shell(tree().path(), "echo freeze > .control/state/snap");
  EXPECT_NE(0, result.status);
  EXPECT_NE(std::string::npos, result.output.find("Invalid argument"))
      << result.output;
}

TEST_F(HandoverFile, a_command_does_not_reach_another_device_of_the_name) {
  UniqueFd fd = open_file(control("state/snap"), O_WRONLY);
  expect_removable("snap");
  eventually([&] { return tree().devices().find("snap") == nullptr; });
  tree().load("snap", MountedTree::snapshot_text("/cow"));
  EXPECT_EQ(ENOENT, error_of(::write(fd.get(), "suspend", 7)));
  EXPECT_EQ("live\n", state("snap"));
}

// ---- Parking

TEST_F(HandoverFile, what_is_parked_goes_on_under_the_same_name) {
  put("snap", "old", 0);
  ASSERT_EQ(0, load("snap", "activate: manual\n"));
  ASSERT_EQ(0, command("snap", "suspend"));
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  Waiters waiters(tree());
  waiters.start([&] { EXPECT_EQ("old", get(fd, 3, 0)); });
  waiters.start([&] { EXPECT_EQ(3, ::pwrite(fd.get(), "new", 3, 8192)); });
  wait_until_parked("snap", 2);
  EXPECT_EQ(0, command("snap", "resume"));
  waiters.join();
  EXPECT_EQ("new", get(fd, 3, 8192));
}

TEST_F(HandoverFile, what_is_parked_fails_when_the_store_goes_elsewhere) {
  ASSERT_EQ(0, load("next", "activate: manual\n"));
  ASSERT_EQ(0, command("snap", "suspend"));
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  Waiters waiters(tree());
  waiters.start([&] { EXPECT_EQ("errno 5", get(fd, 3, 0)); });
  wait_until_parked("snap", 1);
  EXPECT_EQ(0, command("next", "resume"));
  waiters.join();
}

TEST_F(HandoverFile, abort_answers_what_waits_and_nothing_else) {
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  EXPECT_EQ(EINVAL, command("snap", "abort"));
  EXPECT_NE(std::string::npos, errors().find("snap is not suspended"));
  ASSERT_EQ(0, command("snap", "suspend"));
  Waiters waiters(tree());
  waiters.start([&] { EXPECT_EQ("errno 5", get(fd, 3, 0)); });
  waiters.start(
      [&] { EXPECT_EQ(EIO, error_of(::pwrite(fd.get(), "x", 1, 0))); });
  wait_until_parked("snap", 2);

  EXPECT_EQ(0, command("snap", "abort"));

  waiters.join();
  EXPECT_EQ("suspended\n", state("snap"));
  EXPECT_NE(std::string::npos,
            errors().find("snap: 2 waiting requests were aborted"));
  waiters.start([&] { EXPECT_EQ(std::string(3, '\0'), get(fd, 3, 0)); });
  wait_until_parked("snap", 1);
  EXPECT_EQ(0, command("snap", "resume"));
  waiters.join();
}

TEST_F(HandoverFile, status_tells_how_many_wait) {
  ASSERT_EQ(0, command("snap", "suspend"));
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  Waiters waiters(tree());
  waiters.start([&] { EXPECT_EQ(3U, get(fd, 3, 0).size()); });
  wait_until_parked("snap", 1);
  EXPECT_NE(std::string::npos,
            read_file(control("status/snap")).find("waiting_requests: 1\n"));
  ASSERT_EQ(0, command("snap", "resume"));
  waiters.join();
}

TEST_F(HandoverFile, closing_what_was_written_before_does_not_wait) {
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  ASSERT_EQ(1, ::pwrite(fd.get(), "x", 1, 0));
  ASSERT_EQ(0, command("snap", "suspend"));
  EXPECT_EQ(0, ::fsync(fd.get()));
  EXPECT_EQ(0, ::close(fd.release()));
  EXPECT_EQ(0U, parked("snap"));
}

TEST_F(HandoverFile, shut_down_ends_what_waits_on_a_suspended_device) {
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  ASSERT_EQ(0, load("next", "activate: manual\n"));
  ASSERT_EQ(0, command("snap", "suspend"));
  Waiters waiters(tree());
  waiters.start([&] { EXPECT_EQ("errno 5", get(fd, 3, 0)); });
  wait_until_parked("snap", 1);
  tree().filesystem().shut_down();
  waiters.join();
  EXPECT_EQ(EIO, command("snap", "resume"));
}

// Asynchronous reads, so that the process that waits needs no thread for each.
class AsyncReads {
 public:
  AsyncReads(const UniqueFd& fd, unsigned count, int64_t offset = 0)
      : buffer_(static_cast<std::byte*>(std::aligned_alloc(4096, 4096)),
                &std::free),
        requests_(count) {
    EXPECT_EQ(0, ::syscall(SYS_io_setup, count, &context_));
    std::vector<iocb*> list;
    for (iocb& request : requests_) {
      request.aio_fildes = static_cast<uint32_t>(fd.get());
      request.aio_lio_opcode = IOCB_CMD_PREAD;
      request.aio_buf = reinterpret_cast<uint64_t>(buffer_.get());
      request.aio_nbytes = 4096;
      request.aio_offset = offset;
      list.push_back(&request);
    }
    for (std::size_t done = 0; done < count;) {
      long result =
          ::syscall(SYS_io_submit, context_, count - done, list.data() + done);
      if (result <= 0) throw_errno("io_submit", "");
      done += static_cast<std::size_t>(result);
    }
  }
  ~AsyncReads() { ::syscall(SYS_io_destroy, context_); }
  AsyncReads(const AsyncReads&) = delete;
  AsyncReads& operator=(const AsyncReads&) = delete;

  // How many of them ended with `result`, bytes or -errno.
  std::size_t wait_for_all(int64_t result) {
    std::vector<io_event> events(requests_.size());
    timespec limit{60, 0};
    long count = ::syscall(SYS_io_getevents, context_, events.size(),
                           events.size(), events.data(), &limit);
    EXPECT_EQ(static_cast<long>(requests_.size()), count);
    return static_cast<std::size_t>(std::count_if(
        events.begin(), events.begin() + std::max(count, 0L),
        [&](const io_event& event) { return event.res == result; }));
  }

 private:
  aio_context_t context_ = 0;
  std::unique_ptr<std::byte, void (*)(void*)> buffer_;
  std::vector<iocb> requests_;
};

// The number behind KEY in /proc/self/status.
uint64_t own_status(const std::string& key) {
  std::istringstream text(read_file("/proc/self/status"));
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with(key + ":"))
      return std::stoull(line.substr(key.size() + 1));
  }
  return 0;
}

TEST_F(HandoverFile, ten_thousand_parked_requests_hold_no_thread) {
  if (::geteuid() != 0) GTEST_SKIP() << "so many need CAP_SYS_ADMIN";
  constexpr unsigned kCount = 10'000;
  UniqueFd fd = open_file(tree().path("snap"), O_RDONLY | O_DIRECT);
  UniqueFd other = open_file(tree().path("base"), O_RDWR | O_DIRECT);
  ASSERT_EQ(0, command("snap", "suspend"));
  uint64_t threads = own_status("Threads");
  uint64_t rss = own_status("VmRSS");

  AsyncReads reads(fd, kCount);
  wait_until_parked("snap", kCount);

  uint64_t threads_now = own_status("Threads");
  uint64_t rss_now = own_status("VmRSS");
  std::printf(
      "%u parked requests: %llu threads (%llu before), RSS %llu KiB "
      "(%llu before)\n",
      kCount, static_cast<unsigned long long>(threads_now),
      static_cast<unsigned long long>(threads),
      static_cast<unsigned long long>(rss_now),
      static_cast<unsigned long long>(rss));
  RecordProperty("threads", static_cast<int>(threads_now));
  RecordProperty("rss_kib", static_cast<int>(rss_now));
  // libfuse makes threads for a burst, up to its limit of 32; these wait for
  // the next request.
  EXPECT_LE(threads_now, threads + 32);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LE(rss_now, rss + 4 * kCount);
#endif

  // The mount works, the other device and this file's attributes as well.
  EXPECT_EQ("base\nsnap\n", shell(tree().path(), "ls").output);
  struct stat status {};
  EXPECT_EQ(0, ::fstat(fd.get(), &status));
  alignas(4096) static char page[4096] = "other";
  EXPECT_EQ(4096, ::pwrite(other.get(), page, 4096, 0));
  EXPECT_EQ(4096, ::pread(other.get(), page, 4096, 0));

  ASSERT_EQ(0, command("snap", "resume"));
  EXPECT_EQ(kCount, reads.wait_for_all(4096));
}

// The kernel cuts it off at the size that it knows.
TEST_F(HandoverFile, an_asynchronous_read_reaches_to_the_new_end) {
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR | O_DIRECT);
  for (int64_t megabytes : {2, 4}) {
    ASSERT_EQ(0,
              load("snap", "length: " + std::to_string(megabytes) + "MiB\n"));
    ASSERT_EQ(0, command("snap", "suspend"));
    AsyncReads inside(fd, 1, (megabytes << 20) - 4096);
    EXPECT_EQ(1U, inside.wait_for_all(4096));
    AsyncReads behind(fd, 1, megabytes << 20);
    EXPECT_EQ(1U, behind.wait_for_all(0));
    struct stat status {};
    ASSERT_EQ(0, ::fstat(fd.get(), &status));
  }
}

TEST_F(HandoverFile, abort_ends_asynchronous_requests) {
  UniqueFd fd = open_file(tree().path("snap"), O_RDONLY | O_DIRECT);
  ASSERT_EQ(0, command("snap", "suspend"));
  AsyncReads reads(fd, 100);
  wait_until_parked("snap", 100);
  ASSERT_EQ(0, command("snap", "abort"));
  EXPECT_EQ(100U, reads.wait_for_all(-EIO));
}

// ---- Mappings

TEST_F(HandoverFile, a_mapping_goes_on_under_the_same_name) {
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  MappedPage page(fd, PROT_READ | PROT_WRITE);
  page.put(0, 'a');
  ASSERT_EQ(0, load("snap", "length: 2MiB\n"));

  ASSERT_EQ(0, command("snap", "suspend"));

  EXPECT_EQ('a', page.get(0));
  page.put(1, 'b');
  EXPECT_EQ(0, page.sync());
  EXPECT_EQ("ab", get(fd, 2, 0));
}

// Nobody has synchronised it: the pages are dirty when the suspend begins.
TEST_F(HandoverFile, dirty_pages_of_a_mapping_are_handed_over) {
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  MappedPage page(fd, PROT_READ | PROT_WRITE);
  page.put(0, 'd');
  ASSERT_EQ(0, load("next"));

  ASSERT_EQ(0, command("snap", "suspend"));

  EXPECT_EQ("d", get("next", 1, 0));
}

TEST_F(HandoverFile, a_mapping_of_what_was_handed_over_raises_SIGBUS) {
  put("snap", "old", 0);
  UniqueFd fd = open_file(tree().path("snap"), O_RDONLY);
  MappedPage page(fd, PROT_READ);
  ASSERT_EQ('o', page.get(0));
  ASSERT_EQ(0, load("next"));

  ASSERT_EQ(0, command("snap", "suspend"));

  const int status = page.end_of_get(0);
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(SIGBUS, WTERMSIG(status));
}

// ---- Files with a page cache

class CachedHandoverFile : public HandoverFile {
 protected:
  bool can_map() const override { return false; }
};

TEST_F(CachedHandoverFile, pages_of_what_was_handed_over_are_gone) {
  put("snap", "old", 0);
  UniqueFd fd = open_file(tree().path("snap"), O_RDONLY);
  ASSERT_EQ("old", get(fd, 3, 0));
  ASSERT_EQ(0, load("next"));
  ASSERT_EQ(0, command("snap", "suspend"));
  EXPECT_EQ("errno 5", get(fd, 3, 0));
  EXPECT_EQ("old", get("next", 3, 0));
}

// They hold their pages locked, which the notice to the kernel waits for.
TEST_F(CachedHandoverFile, parked_reads_do_not_hold_a_handover_up) {
  off_t offset = 0;
  for (const char* name : {"snap", "next"}) {
    SCOPED_TRACE(name);
    const std::string wanted =
        std::string(name) == "next" ? "errno 5" : std::string(1, '\0');
    ASSERT_EQ(0, load(name, "activate: manual\n"));
    ASSERT_EQ(0, command("snap", "suspend"));
    UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
    Waiters waiters(tree());
    for (int i = 0; i < 8; ++i) {
      offset += 200 << 10;
      waiters.start([&, offset] { EXPECT_EQ(wanted, get(fd, 1, offset)); });
    }
    wait_until_parked("snap", 8);
    auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(0, command(name, "resume"));
    EXPECT_LT(std::chrono::steady_clock::now() - begin,
              CacheNotifier::kPatience);
    waiters.join();
  }
  EXPECT_EQ(std::string::npos, errors().find("still keeps old pages"));
}

TEST_F(CachedHandoverFile, a_new_size_is_seen_at_once) {
  put("base", "far", 3 << 20);
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  for (off_t size : {2 << 20, 4 << 20, 1 << 20}) {
    ASSERT_EQ(0, load("snap", "length: " + std::to_string(size / 512) + "\n"));
    ASSERT_EQ(0, command("snap", "suspend"));
    EXPECT_EQ(size, ::lseek(fd.get(), 0, SEEK_END));
    EXPECT_EQ(1U, get(fd, 1, size - 1).size());
    EXPECT_EQ("", get(fd, 1, size));
  }
}

// Every thread that takes requests would be needed to write the pages back.
TEST_F(HandoverFile, many_commands_at_once_do_not_stop_the_mount) {
  constexpr int kCount = 60;
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  MappedPage page(fd, PROT_READ | PROT_WRITE);
  auto begin = std::chrono::steady_clock::now();
  page.put(0, 'd');
  std::vector<std::thread> writers;
  for (int i = 0; i < kCount; ++i) {
    writers.emplace_back([this, i] {
      EXPECT_EQ(0, command("snap", i % 2 == 0 ? "suspend" : "resume"));
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin,
            WriteBackProcess::kPatience);
  ASSERT_EQ(0, command("snap", "resume"));
  EXPECT_EQ("d", get(fd, 1, 0));
  EXPECT_EQ(std::string::npos, errors().find("may not have been written back"));
}

TEST_F(HandoverFile, suspend_works_without_the_process_that_writes_back) {
  UniqueFd fd = open_file(tree().path("snap"), O_RDWR);
  ASSERT_EQ(0, ::kill(tree().write_back().pid(), SIGKILL));
  ASSERT_EQ(0, command("snap", "suspend"));
  EXPECT_EQ("suspended\n", state("snap"));
  EXPECT_NE(std::string::npos,
            errors().find("snap: changes through shared mappings may not have "
                          "been written back"))
      << errors();
  EXPECT_EQ(0, command("snap", "resume"));
}

}  // namespace
}  // namespace snapfs::test

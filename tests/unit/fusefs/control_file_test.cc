// SPDX-License-Identifier: MIT
//
// .control on a real mount, but for tables: who may see it, and what its files
// say.
#include <grp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "tests/unit/fusefs/mounted_tree.h"

namespace snapfs::test {
namespace {

class ControlFile : public MountedTest {
 protected:
  std::string control(const std::string& name) {
    return tree().path(".control/" + name);
  }
  void report(const std::string& text) {
    tree().events().on_event({EventKind::error, "base", text});
  }
  // Reports it again and again while it lives, for whoever begins to listen at
  // a moment that nobody knows.
  class Repeated {
   public:
    Repeated(ControlFile& test, std::string text)
        : thread_([this, &test, text = std::move(text)] {
            while (!is_over_) {
              test.report(text);
              std::this_thread::sleep_for(std::chrono::milliseconds(5));
            }
          }) {}
    ~Repeated() {
      is_over_ = true;
      thread_.join();
    }
    Repeated(const Repeated&) = delete;
    Repeated& operator=(const Repeated&) = delete;

   private:
    std::atomic<bool> is_over_{false};
    std::thread thread_;
  };

  static std::string read_some(const UniqueFd& fd, std::size_t size) {
    std::string text(size, '\0');
    ssize_t count = ::read(fd.get(), text.data(), size);
    EXPECT_GE(count, 0) << std::strerror(errno);
    text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return text;
  }
};

TEST_F(ControlFile, directory_is_reached_by_name_and_lists_its_files) {
  EXPECT_EQ(
      "errors\nevents\nlog\nmetrics\npid\nstate\nstatus\ntables\nuntrusted\n",
      shell(control(""), "LC_ALL=C ls -A1").output);
  EXPECT_EQ("base\nsnap\n", shell(control("status"), "ls -A1").output);
  EXPECT_EQ("base.yaml\nsnap.yaml\n",
            shell(control("tables"), "ls -A1").output);
}

TEST_F(ControlFile, modes_keep_others_out) {
  struct stat result {};
  ASSERT_EQ(0, ::stat(control("").c_str(), &result));
  EXPECT_EQ(mode_t{S_IFDIR | 0700}, result.st_mode);
  ASSERT_EQ(0, ::stat(control("tables/snap.yaml").c_str(), &result));
  EXPECT_EQ(mode_t{S_IFREG | 0600}, result.st_mode);
}

TEST_F(ControlFile, another_user_is_refused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  shell(tree().path(), "cat .control/tables/snap.yaml");  // known to the kernel
  pid_t child = ::fork();
  if (child == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 ||
        ::setuid(65534) != 0) {
      ::_exit(100);
    }
    bool refused =
        ::open(control("pid").c_str(), O_RDONLY) < 0 && errno == EACCES &&
        ::unlink(control("tables/snap.yaml").c_str()) < 0 && errno == EACCES;
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(child, ::waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
}

TEST_F(ControlFile, texts_tell_about_the_device) {
  EXPECT_EQ(MountedTree::snapshot_text("/cow"),
            read_file(control("tables/snap.yaml")));
  EXPECT_EQ("live\n", read_file(control("state/snap")));
  std::string status = read_file(control("status/snap"));
  std::string line = tree().devices().find("snap")->live()->status_line();
  EXPECT_EQ("snap: " + line, status.substr(0, status.find('\n')));
  EXPECT_EQ(std::to_string(::getpid()) + "\n", read_file(control("pid")));
}

TEST_F(ControlFile, read_only_files_refuse_writers) {
  for (const char* name :
       {"pid", "errors", "events", "log", "metrics", "status/snap"}) {
    EXPECT_EQ(EACCES, error_of(::open(control(name).c_str(), O_WRONLY)))
        << name;
  }
}

TEST_F(ControlFile, errors_hold_the_whole_text) {
  tree().events().add_error("tables/x.yaml:1:2: first line\nsecond line");
  EXPECT_EQ("tables/x.yaml:1:2: first line\nsecond line\n",
            read_file(control("errors")));
}

TEST_F(ControlFile, event_reader_follows_from_its_open) {
  report("before");
  UniqueFd fd = open_file(control("events"), O_RDONLY);
  std::string text;
  std::thread reader([&] { text = read_some(fd, 4096); });
  report("after");
  reader.join();
  EXPECT_NE(std::string::npos, text.find(" error base after\n"));
  EXPECT_EQ(std::string::npos, text.find("before"));
}

TEST_F(ControlFile, event_reader_that_waits_is_woken) {
  UniqueFd fd = open_file(control("events"), O_RDONLY);
  for (int i = 0; i < 50; ++i) {
    std::string text;
    std::thread reader([&] { text = read_some(fd, 4096); });
    report("number " + std::to_string(i));
    reader.join();
    EXPECT_TRUE(text.ends_with("number " + std::to_string(i) + "\n"));
  }
}

TEST_F(ControlFile, waiting_event_readers_hold_no_thread) {
  std::vector<UniqueFd> files;
  std::vector<std::thread> readers;
  for (int i = 0; i < 100; ++i) {
    files.push_back(open_file(control("events"), O_RDONLY));
  }
  for (const UniqueFd& fd : files) {
    readers.emplace_back([&fd] { EXPECT_FALSE(read_some(fd, 4096).empty()); });
  }
  EXPECT_EQ("live\n", read_file(control("state/snap")));
  report("for all");
  for (std::thread& reader : readers) reader.join();
}

TEST_F(ControlFile, nonblocking_event_reader_gets_EAGAIN) {
  UniqueFd fd = open_file(control("events"), O_RDONLY | O_NONBLOCK);
  char byte = 0;
  EXPECT_EQ(EAGAIN, error_of(::read(fd.get(), &byte, 1)));
  report("now");
  EXPECT_EQ(1, ::read(fd.get(), &byte, 1));
}

TEST_F(ControlFile, poll_tells_of_an_event) {
  UniqueFd fd = open_file(control("events"), O_RDONLY | O_NONBLOCK);
  pollfd polled{fd.get(), POLLIN, 0};
  EXPECT_EQ(0, ::poll(&polled, 1, 0));
  for (int i = 0; i < 3; ++i) {
    std::thread reporter([&] { report("polled"); });
    EXPECT_EQ(1, ::poll(&polled, 1, 30'000));
    EXPECT_NE(0, polled.revents & POLLIN);
    reporter.join();
    read_some(fd, 4096);
    EXPECT_EQ(0, ::poll(&polled, 1, 0));
  }
}

TEST_F(ControlFile, edge_triggered_epoll_tells_of_each_event) {
  UniqueFd fd = open_file(control("events"), O_RDONLY | O_NONBLOCK);
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event wanted{};
  wanted.events = EPOLLIN | EPOLLET;
  ASSERT_EQ(0, ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &wanted));
  for (int i = 0; i < 3; ++i) {
    report("edge");
    epoll_event event{};
    EXPECT_EQ(1, ::epoll_wait(epoll.get(), &event, 1, 30'000));
    read_some(fd, 4096);
  }
}

TEST_F(ControlFile, interrupted_event_reader_gets_out) {
  UniqueFd fd = open_file(control("events"), O_RDONLY);
  int ends[2];
  ASSERT_EQ(0, ::pipe2(ends, O_CLOEXEC));
  UniqueFd ready_read(ends[0]);
  UniqueFd ready_write(ends[1]);
  pid_t child = ::fork();
  if (child == 0) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR2, &action, nullptr);
    static_cast<void>(!::write(ends[1], "r", 1));
    char byte = 0;
    ::_exit(::read(fd.get(), &byte, 1) < 0 && errno == EINTR ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(1, ::read(ends[0], &byte, 1));
  int status = 0;
  // Until it has arrived in its read, the signal interrupts nothing.
  eventually([&] {
    ::kill(child, SIGUSR2);
    return ::waitpid(child, &status, WNOHANG) == child;
  });
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_F(ControlFile, shells_and_tools_follow_events) {
  // bash reads a byte at a time and seeks back.
  Repeated tick(*this, "tick");
  EXPECT_EQ(0, shell(control(""), "read -r line < events").status);
  EXPECT_EQ(0, shell(control(""), "head -n 2 events").status);
  EXPECT_EQ(0, shell(control(""), "grep -q -m1 tick events").status);
  EXPECT_EQ(0, shell(control(""),
                     "set -o pipefail; while read -r time kind name text; do "
                     "echo $kind $name $text; break; done < events | "
                     "grep -qx 'error base tick'")
                   .status);
}

TEST_F(ControlFile, log_is_an_ordinary_file) {
  report("one");
  report("two");
  std::string text = read_file(control("log"));
  EXPECT_NE(std::string::npos, text.find(" load snap "));
  EXPECT_TRUE(text.ends_with(" error base two\n"));
  struct stat result {};
  ASSERT_EQ(0, ::stat(control("log").c_str(), &result));
  EXPECT_EQ(static_cast<off_t>(text.size()), result.st_size);
  EXPECT_TRUE(shell(control(""), "tail -n 1 log").output.ends_with("two\n"));
}

TEST_F(ControlFile, tail_follows_the_log) {
  Repeated followed(*this, "followed");
  CommandResult result =
      shell(control(""),
            "timeout 60 tail -n 0 -s 0.05 -f log | grep -q -m1 followed");
  EXPECT_EQ(0, result.status) << result.output;
}

TEST_F(ControlFile, shut_down_ends_the_stream) {
  UniqueFd fd = open_file(control("events"), O_RDONLY);
  std::thread reader([&] { EXPECT_EQ("", read_some(fd, 4096)); });
  tree().filesystem().shut_down();
  reader.join();
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Each test forks a "caller" that goes to the background with a job and whose
// exit status is looked at, as a shell would.
#include "fusefs/background.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <functional>
#include <string>

namespace snapfs {
namespace {

struct Caller {
  pid_t pid = 0;
  UniqueFd output = UniqueFd();  // what the job writes to report()

  int status() const {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  // Everything the job wrote, once it has ended.
  std::string text() const {
    std::string text;
    char c = 0;
    while (read(output.get(), &c, 1) == 1) text += c;
    return text;
  }
};

// A descriptor that detach() leaves open: it closes what it does not know.
constexpr int kKept = STDERR_FILENO;

// `job` runs in the background and returns its exit status. Its stderr is the
// caller's output until it calls ready().
Caller call(const std::function<int(Background&)>& job) {
  int ends[2];
  if (pipe(ends) != 0) abort();
  Caller caller{.pid = fork(), .output = UniqueFd(ends[0])};
  if (caller.pid != 0) {
    close(ends[1]);
    return caller;
  }
  dup2(ends[1], kKept);
  close(ends[0]);
  close(ends[1]);
  Background background;
  if (auto status = background.detach()) _exit(*status);
  _exit(job(background));
}

void say(const std::string& text) {
  if (write(kKept, text.data(), text.size()) < 0) _exit(99);
}

TEST(Background, caller_returns_0_when_the_job_is_ready) {
  const Caller caller = call([](Background& background) {
    background.ready();
    return 7;
  });

  EXPECT_EQ(caller.status(), 0);
}

TEST(Background, caller_returns_the_status_of_a_job_that_fails) {
  const Caller caller = call([](Background&) {
    say("bad table\n");
    return 32;
  });

  EXPECT_EQ(caller.status(), 32);
  EXPECT_EQ(caller.text(), "bad table\n");
}

TEST(Background, caller_names_the_signal_that_killed_the_job) {
  const Caller caller = call([](Background&) { return raise(SIGKILL); });

  EXPECT_EQ(caller.status(), 2);
  EXPECT_NE(caller.text().find("killed by signal 9"), std::string::npos);
}

TEST(Background, job_learns_that_the_caller_has_gone) {
  const Caller caller = call([](Background& background) {
    signal(SIGPIPE, SIG_IGN);
    const int kept = dup(kKept);
    const pid_t parent = getppid();
    say("started\n");
    while (getppid() == parent) sched_yield();
    const bool heard = background.ready();
    dup2(kept, kKept);
    say(heard ? "heard" : "not heard");
    return 0;
  });
  char line[8];
  ASSERT_EQ(read(caller.output.get(), line, sizeof line), 8);

  kill(caller.pid, SIGKILL);

  EXPECT_EQ(caller.status(), 128 + SIGKILL);
  EXPECT_EQ(caller.text(), "not heard");
}

TEST(Background, ready_job_has_left_terminal_directory_and_streams) {
  const Caller caller = call([](Background& background) {
    const int kept = dup(kKept);
    background.ready();
    char directory[PATH_MAX] = "";
    char stream[PATH_MAX] = "";
    if (!getcwd(directory, sizeof directory) ||
        readlink("/proc/self/fd/1", stream, sizeof stream - 1) < 0)
      return 1;
    dup2(kept, kKept);
    say(std::string(directory) + " " + stream + " " +
        (getsid(0) == getpid() ? "own session" : "caller's session"));
    return 0;
  });

  EXPECT_EQ(caller.text(), "/ /dev/null own session");
  EXPECT_EQ(caller.status(), 0);
}

TEST(Background, job_has_none_of_the_callers_other_files) {
  const UniqueFd mine(open("/dev/null", O_RDONLY));
  const int number = mine.get();
  const Caller caller = call(
      [number](Background&) { return fcntl(number, F_GETFD) < 0 ? 0 : 1; });

  EXPECT_EQ(caller.status(), 0);
}

TEST(Background, foreground_is_ready_without_a_change) {
  Background background;

  EXPECT_TRUE(background.ready());

  EXPECT_EQ(fcntl(STDERR_FILENO, F_GETFD), 0);
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A process of a test. What maps files of a mount that this very process serves
// has to be one: a fault holds the memory map of its process, which the threads
// that serve it may need.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "tests/support/eventually.h"

namespace snapfs::test {

// A forked child that runs `body` and exits with what it returns. It may make
// system calls and nothing else, since other threads hold locks at the fork.
// Killed at the end of the scope if it still runs.
//
// Whatever maps files of the mount has to be such a child: a fault holds the
// memory map of its process, which the threads that serve it may need.
class Child {
 public:
  explicit Child(const std::function<int()>& body) : pid_(::fork()) {
    if (pid_ == 0) ::_exit(body());
  }
  ~Child() {
    if (ended_) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }

  // As waitpid(2) tells it, when the child has ended.
  int wait() {
    eventually([&] {
      ended_ = ended_ || ::waitpid(pid_, &status_, WNOHANG) == pid_;
      return ended_;
    });
    return status_;
  }

 private:
  const pid_t pid_;
  int status_ = 0;
  bool ended_ = false;
};

}  // namespace snapfs::test

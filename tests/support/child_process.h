// SPDX-License-Identifier: MIT
//
// A forked child that does something, says that it has, and waits to be told to
// go on: the other process of a test about locks.
//
//   ChildProcess child([&](ChildProcess::Side& side) {
//     ... take the lock ...
//     side.ready();
//     side.wait_for_go();
//   });
//   child.wait_until_ready();
//   ... meet the lock ...
//   child.go();
//   child.join();
//
// REQUIRES: no other thread runs when it is made.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>

#include "core/unique_fd.h"

namespace snapfs::test {

class ChildProcess {
 public:
  // The child's end.
  class Side {
   public:
    Side(int ready, int go) : ready_(ready), go_(go) {}
    void ready() const;
    // False if the parent has gone instead.
    bool wait_for_go() const;
    // False as well when it has taken too long.
    bool wait_for_go(std::chrono::seconds limit) const;

   private:
    int ready_;
    int go_;
  };

  // The child ends when `body` returns; with status 1 and a text on stderr if
  // it throws.
  explicit ChildProcess(const std::function<void(Side&)>& body);
  // Kills the child if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }

  // Throws std::runtime_error if the child ends without being ready.
  void wait_until_ready();
  void go();
  // Waits for the child's end; its status, or 128 + signal.
  int join();

 private:
  pid_t pid_ = -1;
  UniqueFd ready_;
  UniqueFd go_;
};

}  // namespace snapfs::test

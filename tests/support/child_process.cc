// SPDX-License-Identifier: MIT
#include "tests/support/child_process.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <utility>

#include "core/error.h"

namespace snapfs::test {
namespace {

// Sockets, since writing to a pipe that nobody reads is a signal.
std::pair<UniqueFd, UniqueFd> make_pipe() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw_errno("cannot make", "a pair of sockets");
  }
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

bool read_byte(int fd) {
  char byte = 0;
  for (;;) {
    ssize_t count = read(fd, &byte, 1);
    if (count < 0 && errno == EINTR) continue;
    return count == 1;
  }
}

// False if nobody is left to read it.
bool write_byte(int fd) { return send(fd, "x", 1, MSG_NOSIGNAL) == 1; }

}  // namespace

void ChildProcess::Side::ready() const {
  if (!write_byte(ready_)) throw std::runtime_error("the parent is gone");
}

bool ChildProcess::Side::wait_for_go() const { return read_byte(go_); }

bool ChildProcess::Side::wait_for_go(std::chrono::seconds limit) const {
  pollfd waiting{go_, POLLIN, 0};
  std::chrono::milliseconds left = limit;
  return poll(&waiting, 1, static_cast<int>(left.count())) > 0 &&
         read_byte(go_);
}

ChildProcess::ChildProcess(const std::function<void(Side&)>& body) {
  auto [ready_read, ready_write] = make_pipe();
  auto [go_read, go_write] = make_pipe();
  pid_ = fork();
  if (pid_ < 0) throw_errno("cannot fork", "a child");
  if (pid_ == 0) {
    ready_read.reset();
    go_write.reset();
    int status = 0;
    try {
      Side side(ready_write.get(), go_read.get());
      body(side);
    } catch (const std::exception& error) {
      std::cerr << "child: " << error.what() << std::endl;
      status = 1;
    }
    // The test program's own ending (its report, its globals) is the parent's.
    _exit(status);
  }
  ready_ = std::move(ready_read);
  go_ = std::move(go_write);
}

ChildProcess::~ChildProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  join();
}

void ChildProcess::wait_until_ready() {
  if (!read_byte(ready_.get())) {
    throw std::runtime_error("the child ended before it was ready");
  }
}

void ChildProcess::go() { write_byte(go_.get()); }

int ChildProcess::join() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace snapfs::test

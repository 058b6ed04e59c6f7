// SPDX-License-Identifier: MIT
#include "fusefs/background.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/error.h"
#include "fusefs/log.h"

namespace snapfs {
namespace {

constexpr char kReady = 'r';
constexpr int kSystemError = 2;  // of mount(8)

// True if the child said that it is ready, false if it ended without a word.
bool hear_ready(int report) {
  char word = 0;
  ssize_t count = 0;
  do {
    count = ::read(report, &word, 1);
  } while (count < 0 && errno == EINTR);
  return count == 1 && word == kReady;
}

int status_of_ended(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  log_message(Severity::error, std::string("the daemon was killed by signal ") +
                                   std::to_string(WTERMSIG(status)) + " (" +
                                   ::strsignal(WTERMSIG(status)) + ")");
  return kSystemError;
}

// A daemon that keeps, say, the descriptor a shell's lock lives on would hold
// that lock for as long as the mount lasts.
void close_inherited(int except) {
  const auto own = static_cast<unsigned>(except);
  if (own > STDERR_FILENO + 1) ::close_range(STDERR_FILENO + 1, own - 1, 0);
  ::close_range(own + 1, ~0u, 0);
}

void leave_standard_streams() {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) throw_errno("open", "/dev/null");
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::dup2(null.get(), fd) < 0) throw_errno("dup2", "/dev/null");
  }
}

}  // namespace

std::optional<int> Background::detach() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe", "");
  UniqueFd hear(ends[0]);
  UniqueFd speak(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) throw_errno("fork", "");
  if (child == 0) {
    report_ = std::move(speak);
    close_inherited(report_.get());
    hear.release();  // closed just now
    return std::nullopt;
  }
  speak.reset();
  return hear_ready(hear.get()) ? 0 : status_of_ended(child);
}

bool Background::ready() {
  if (!report_) return true;
  // A session of its own only now: until here the user's Ctrl-C reaches it.
  ::setsid();
  if (::chdir("/") != 0) throw_errno("chdir", "/");
  log_to_syslog();
  leave_standard_streams();
  const ssize_t count = ::write(report_.get(), &kReady, 1);
  report_.reset();
  return count == 1;
}

}  // namespace snapfs

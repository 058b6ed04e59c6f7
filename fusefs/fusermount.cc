// SPDX-License-Identifier: MIT
#include "fusefs/fusermount.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "fusefs/log.h"

namespace snapfs {
namespace {

// The attributes of a child that has none of the daemon's signal settings.
class FreshSignals {
 public:
  FreshSignals() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t set;
    sigemptyset(&set);
    ::posix_spawnattr_setsigmask(&attributes_, &set);
    sigaddset(&set, SIGPIPE);
    sigaddset(&set, SIGXFSZ);
    ::posix_spawnattr_setsigdefault(&attributes_, &set);
    ::posix_spawnattr_setflags(&attributes_,
                               POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~FreshSignals() { ::posix_spawnattr_destroy(&attributes_); }
  FreshSignals(const FreshSignals&) = delete;
  FreshSignals& operator=(const FreshSignals&) = delete;

  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

}  // namespace

bool fusermount_unmount(const std::string& mount_point, bool lazy) {
  std::string program = "fusermount3";
  std::string flags = lazy ? "-uz" : "-u";
  std::string end_of_flags = "--";
  std::string path = mount_point;
  char* argv[] = {program.data(), flags.data(), end_of_flags.data(),
                  path.data(), nullptr};
  const FreshSignals signals;
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, program.c_str(), nullptr,
                                   signals.get(), argv, environ);
  if (error != 0) {
    log_message(Severity::error, program + ": " + std::strerror(error));
    return false;
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace snapfs

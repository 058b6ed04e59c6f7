// SPDX-License-Identifier: MIT
#include "fusefs/write_back.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "core/error.h"
#include "fusefs/privileges.h"

namespace snapfs {

// One datagram each way.
struct WriteBackProcess::Request {
  uint64_t number;
  dev_t filesystem;
  Task task;
  char path[PATH_MAX];
};

struct WriteBackProcess::Answer {
  uint64_t number;
  int error;
};

namespace {

// The child was forked from a process that may have had threads: from here on
// there are system calls only.
void become_helper(int socket) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "snapfs-sync");
  ::setsid();
  static_cast<void>(!::chdir("/"));
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE})
    ::signal(signal, SIG_IGN);
  // Each request has a process of its own, which nobody waits for.
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  action.sa_flags = SA_NOCLDWAIT;
  ::sigaction(SIGCHLD, &action, nullptr);
  // Whoever reads our standard error must not wait for this process.
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  const auto own = static_cast<unsigned>(socket);
  if (own > STDERR_FILENO + 1) ::close_range(STDERR_FILENO + 1, own - 1, 0);
  ::close_range(own + 1, ~0u, 0);
  // The daemon has told if this does not work.
  static_cast<void>(keep_capabilities(kWriteBackCapabilities));
}

// Opens by O_PATH what is meant, and asks for its attributes. Something else
// may be mounted over it. An invalid descriptor and errno if so.
UniqueFd find_file(const char* path, dev_t filesystem) {
  UniqueFd file(::open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return {};
  if (status.st_dev != filesystem || !S_ISREG(status.st_mode)) {
    errno = ENODEV;
    return {};
  }
  return file;
}

// sync_file_range(2) would do, but does not wait for the answers before Linux
// 6.16.
int sync_file(int place) {
  char link[32];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", place);
  const UniqueFd file(::open(link, O_RDONLY | O_CLOEXEC));
  return file && ::fsync(file.get()) == 0 ? 0 : errno;
}

}  // namespace

WriteBackProcess::WriteBackProcess() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    throw_errno("make", "a socket pair");
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  pid_ = ::fork();
  if (pid_ < 0) throw_errno("fork", "");
  if (pid_ == 0) {
    become_helper(theirs.get());
    serve(theirs.get());
    ::_exit(0);
  }
  socket_ = std::move(ours);
}

WriteBackProcess::~WriteBackProcess() {
  socket_.reset();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// A request may have to wait for as long as a device stays suspended, so it
// gets a process of its own.
void WriteBackProcess::serve(int socket) {
  for (;;) {
    Request request;
    const ssize_t count = ::recv(socket, &request, sizeof request, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count != sizeof request) return;
    const pid_t child = ::fork();
    if (child > 0) continue;
    const Answer answer{request.number, child < 0 ? errno : carry_out(request)};
    ::send(socket, &answer, sizeof answer, MSG_NOSIGNAL);
    if (child == 0) ::_exit(0);
  }
}

// When this is answered nothing here uses the mount any more: it could be
// unmounted.
int WriteBackProcess::carry_out(const Request& request) {
  const UniqueFd place = find_file(request.path, request.filesystem);
  if (!place) return errno;
  return request.task == Task::write_back ? sync_file(place.get()) : 0;
}

void WriteBackProcess::set_mount(const std::string& directory,
                                 dev_t filesystem) {
  MutexLock lock(mutex_);
  directory_ = directory;
  filesystem_ = filesystem;
}

int WriteBackProcess::write_back(const std::string& name) {
  return ask(Task::write_back, name);
}

int WriteBackProcess::refresh(const std::string& name) {
  return ask(Task::refresh, name);
}

int WriteBackProcess::ask(Task task, const std::string& name) {
  MutexLock lock(mutex_);
  const std::string path = directory_ + "/" + name;
  if (directory_.empty() || path.size() >= PATH_MAX) return ENODEV;
  Request request{};
  request.number = ++last_number_;
  request.filesystem = filesystem_;
  request.task = task;
  std::memcpy(request.path, path.c_str(), path.size());
  if (::send(socket_.get(), &request, sizeof request,
             MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    return errno;
  }
  const int error = wait_for_answer(request.number);
  return error == ENOENT || error == ENOTCONN ? ENODEV : error;
}

// Answers to earlier requests, which were not waited for, are passed over.
int WriteBackProcess::wait_for_answer(uint64_t number) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (rest.count() <= 0) return ETIMEDOUT;
    pollfd polled{socket_.get(), POLLIN, 0};
    if (::poll(&polled, 1, static_cast<int>(rest.count())) != 1) continue;
    Answer answer{};
    const ssize_t count =
        ::recv(socket_.get(), &answer, sizeof answer, MSG_DONTWAIT);
    if (count == 0) return ESRCH;
    if (count < 0 && errno != EAGAIN && errno != EINTR) return errno;
    if (count == sizeof answer && answer.number == number) return answer.error;
  }
}

}  // namespace snapfs

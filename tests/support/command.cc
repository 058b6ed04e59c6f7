// SPDX-License-Identifier: MIT
#include "tests/support/command.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>

#include "core/error.h"
#include "core/unique_fd.h"

// POSIX leaves the declaration to those who use it.
// NOLINTNEXTLINE(readability-redundant-declaration)
extern char** environ;

namespace snapfs::test {
namespace {

std::string drain(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<size_t>(count));
  }
}

// Filesystem tools live in sbin, which an ordinary user's $PATH leaves out.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::string dirs = std::string(path != nullptr ? path : "/usr/bin:/bin") +
                     ":/usr/sbin:/sbin";
  for (size_t begin = 0; begin < dirs.size();) {
    size_t end = std::min(dirs.find(':', begin), dirs.size());
    std::string file = dirs.substr(begin, end - begin) + "/" + name;
    if (access(file.c_str(), X_OK) == 0) return file;
    begin = end + 1;
  }
  return "";
}

}  // namespace

CommandResult run(const std::vector<std::string>& command) {
  std::string program = find_program(command.at(0));
  if (program.empty()) return {127, command[0] + ": no such program"};

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe for", command[0]);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& word : command) {
    // The interface is older than const.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  pid_t pid = -1;
  int error = posix_spawn(&pid, program.c_str(), &actions, nullptr,
                          arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw_errno(error, "cannot run", program);
  write_end.reset();

  CommandResult result;
  result.output = drain(read_end.get());
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  result.status =
      WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::string run_or_throw(const std::vector<std::string>& command) {
  CommandResult result = run(command);
  if (result.status == 0) return result.output;
  std::string text;
  for (const std::string& word : command) text += word + " ";
  throw std::runtime_error(text + "ended with " +
                           std::to_string(result.status) + ": " +
                           result.output);
}

bool has_program(const std::string& name) {
  return !find_program(name).empty();
}

}  // namespace snapfs::test

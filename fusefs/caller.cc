// SPDX-License-Identifier: MIT
#include "fusefs/caller.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>

#include "core/unique_fd.h"

namespace snapfs {
namespace {

// What `cat /proc/PID/NAME` prints, up to what a status needs; empty if the
// process is gone.
std::string read_proc(pid_t thread, const char* name) {
  if (thread <= 0) return {};
  std::string path = "/proc/" + std::to_string(thread) + "/" + name;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  std::array<char, 4096> text;
  ssize_t count = ::read(fd.get(), text.data(), text.size());
  return count <= 0 ? std::string()
                    : std::string(text.data(), static_cast<size_t>(count));
}

// The value behind "NAME:\t" in a status text.
std::optional<uint64_t> field(std::string_view status, std::string_view name,
                              int base) {
  std::string key = "\n" + std::string(name) + ":\t";
  std::size_t begin = status.find(key);
  if (begin == std::string_view::npos) return std::nullopt;
  begin += key.size();
  uint64_t value = 0;
  auto [end, error] = std::from_chars(
      status.data() + begin, status.data() + status.size(), value, base);
  if (error != std::errc()) return std::nullopt;
  return value;
}

constexpr uint64_t bit(int signal) { return uint64_t{1} << (signal - 1); }

// Signals whose default action does not end the process.
constexpr uint64_t kHarmless = bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) |
                               bit(SIGWINCH) | bit(SIGSTOP) | bit(SIGTSTP) |
                               bit(SIGTTIN) | bit(SIGTTOU);

}  // namespace

Caller caller_of(fuse_req_t request) {
  const fuse_ctx* context = fuse_req_ctx(request);
  return {context->uid, context->gid, context->pid};
}

pid_t process_of(pid_t thread) {
  pid_t process = process_in_status(read_proc(thread, "status"));
  return process != 0 ? process : thread;
}

bool is_killed(pid_t thread) {
  return killed_in_stat(read_proc(thread, "stat"));
}

bool is_dying(pid_t thread) {
  std::string status = read_proc(thread, "status");
  return status.empty() || fatal_signal_in_status(status);
}

pid_t process_in_status(std::string_view status) {
  return static_cast<pid_t>(field(status, "Tgid", 10).value_or(0));
}

bool fatal_signal_in_status(std::string_view status) {
  uint64_t pending = field(status, "SigPnd", 16).value_or(0) |
                     field(status, "ShdPnd", 16).value_or(0);
  if ((pending & bit(SIGKILL)) != 0) return true;
  pending &= ~field(status, "SigBlk", 16).value_or(0);
  pending &= ~field(status, "SigIgn", 16).value_or(0);
  pending &= ~field(status, "SigCgt", 16).value_or(0);
  return (pending & ~kHarmless) != 0;
}

bool killed_in_stat(std::string_view stat) {
  // The second field is the name in brackets and may hold anything; what
  // follows the last bracket are single words, the third field first.
  constexpr int kFlagsField = 9;
  constexpr int kExitCodeField = 52;
  constexpr uint64_t kExiting = 4;  // PF_EXITING
  std::size_t at = stat.rfind(')');
  if (at == std::string_view::npos) return false;
  uint64_t flags = 0;
  uint64_t exit_code = 0;
  for (int number = 3; number <= kExitCodeField; ++number) {
    at = stat.find(' ', at);
    if (at == std::string_view::npos) return false;
    const char* begin = stat.data() + ++at;
    const char* end = stat.data() + stat.size();
    if (number == kFlagsField) std::from_chars(begin, end, flags);
    if (number == kExitCodeField) std::from_chars(begin, end, exit_code);
  }
  return (flags & kExiting) != 0 && (exit_code & 0x7f) != 0;
}

}  // namespace snapfs

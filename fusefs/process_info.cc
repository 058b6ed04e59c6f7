// SPDX-License-Identifier: MIT
#include "fusefs/process_info.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "fusefs/block_sysfs.h"

namespace snapfs {
namespace {

namespace fs = std::filesystem;

std::string proc_file(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

bool has_open(pid_t pid, const std::string& path) {
  std::error_code error;
  for (const auto& entry :
       fs::directory_iterator(proc_file(pid, "fd"), error)) {
    std::error_code gone;
    if (fs::read_symlink(entry.path(), gone).string() == path) return true;
  }
  return false;
}

}  // namespace

std::string command_of(pid_t pid) { return read_line(proc_file(pid, "comm")); }

std::string describe_process(pid_t pid) {
  std::string command = command_of(pid);
  return std::to_string(pid) + (command.empty() ? "" : " (" + command + ")");
}

std::optional<uint64_t> start_time_of(pid_t pid) {
  // PID (COMMAND) STATE ...; the command may hold blanks and parentheses.
  std::ifstream in(proc_file(pid, "stat"));
  std::string text((std::istreambuf_iterator<char>(in)), {});
  size_t end_of_command = text.rfind(')');
  if (end_of_command == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(end_of_command + 1));
  // Numbers of the fields, as proc(5) has them.
  constexpr int kState = 3, kThreads = 20, kStartTime = 22;
  std::string state, skipped;
  uint64_t threads = 0, ticks = 0;
  fields >> state;
  for (int i = kState + 1; i < kThreads; ++i) fields >> skipped;
  fields >> threads;
  for (int i = kThreads + 1; i < kStartTime; ++i) fields >> skipped;
  if (!(fields >> ticks)) return std::nullopt;
  // The state is that of its first thread; others may have all still open.
  if ((state == "Z" || state == "X") && threads <= 1) return std::nullopt;
  return ticks;
}

std::vector<pid_t> flock_holders(dev_t filesystem, ino_t inode) {
  // 1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF
  // A line whose second word is "->" is one that waits for it.
  char wanted[64];
  std::snprintf(wanted, sizeof wanted, "%02x:%02x:%lu", major(filesystem),
                minor(filesystem), static_cast<unsigned long>(inode));
  std::vector<pid_t> holders;
  std::ifstream in("/proc/locks");
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string number, kind, mandatory, mode, place;
    pid_t pid = 0;
    words >> number >> kind >> mandatory >> mode >> pid >> place;
    if (kind == "FLOCK" && place == wanted && pid > 0) holders.push_back(pid);
  }
  return holders;
}

std::vector<pid_t> processes_with_open(const std::string& path) {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    std::string name = entry.path().filename().string();
    pid_t pid = 0;
    auto [end, bad] =
        std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || *end != '\0' || pid == getpid()) continue;
    if (has_open(pid, path)) found.push_back(pid);
  }
  return found;
}

}  // namespace snapfs

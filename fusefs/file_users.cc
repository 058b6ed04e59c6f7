// SPDX-License-Identifier: MIT
#include "fusefs/file_users.h"

#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <set>

#include "fusefs/block_sysfs.h"
#include "fusefs/process_info.h"

namespace snapfs {
namespace {

namespace fs = std::filesystem;

bool is_below(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + "/");
}

// Where a link in /proc leads; empty if it has gone, or is not for us.
std::string link_text(const fs::path& link) {
  std::error_code error;
  return fs::read_symlink(link, error).string();
}

void add_process(pid_t pid, const std::string& mount_point,
                 std::vector<std::string>& lines) {
  const fs::path process = "/proc/" + std::to_string(pid);
  const std::string directory = link_text(process / "cwd");
  if (is_below(directory, mount_point))
    lines.push_back(directory + " is the working directory of " +
                    describe_process(pid));
  std::set<std::string> open;
  std::error_code error;
  for (const auto& fd : fs::directory_iterator(process / "fd", error)) {
    const std::string path = link_text(fd.path());
    if (is_below(path, mount_point)) open.insert(path);
  }
  for (const std::string& path : open)
    lines.push_back(path + " is open in " + describe_process(pid));
}

// 0 if it is not the name of a process.
pid_t pid_of(const std::string& name) {
  pid_t pid = 0;
  const char* end = name.data() + name.size();
  const auto result = std::from_chars(name.data(), end, pid);
  return result.ec == std::errc() && result.ptr == end ? pid : 0;
}

}  // namespace

std::string file_users(const std::string& path) {
  std::string text;
  const auto add = [&](const std::string& user) {
    if (!text.empty()) text += ", ";
    text += user;
  };
  for (const LoopBacking& loop : attached_loops()) {
    if (loop.path == path) add("attached to " + device_path(loop.loop));
  }
  for (const pid_t pid : processes_with_open(path))
    add("open in " + describe_process(pid));
  return text;
}

std::vector<std::string> mount_users(const std::string& mount_point) {
  std::vector<std::string> lines;
  for (const LoopBacking& loop : attached_loops()) {
    if (is_below(loop.path, mount_point))
      lines.push_back(loop.path + " is attached to " + device_path(loop.loop));
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const pid_t pid = pid_of(entry.path().filename());
    if (pid != 0 && pid != ::getpid()) add_process(pid, mount_point, lines);
  }
  return lines;
}

}  // namespace snapfs

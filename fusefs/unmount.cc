// SPDX-License-Identifier: MIT
#include "fusefs/unmount.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "core/unique_fd.h"
#include "fusefs/argument_parser.h"
#include "fusefs/exit_status.h"
#include "fusefs/file_users.h"
#include "fusefs/fusermount.h"
#include "fusefs/log.h"
#include "fusefs/mount_namespace.h"
#include "fusefs/mount_options.h"
#include "fusefs/process_info.h"
#include "fusefs/snapfs_mounts.h"

namespace snapfs {
namespace {

constexpr int kNoticeMilliseconds = 3000;

// The mount that the user means. The path is tried as it is first: to follow
// it may mean to ask a dead mount.
std::optional<MountEntry> find_mount(const std::string& path) {
  const std::vector<MountEntry> mounts = read_mount_table();
  std::string plain = std::filesystem::absolute(path).lexically_normal();
  while (plain.size() > 1 && plain.back() == '/') plain.pop_back();
  if (auto mount = mounted_at(mounts, plain)) return mount;
  char canonical[PATH_MAX];
  if (!::realpath(path.c_str(), canonical)) return std::nullopt;
  return mounted_at(mounts, canonical);
}

// The process that serves the mount, to be waited for. Empty if the mount does
// not tell, or tells the number of a process in another PID namespace.
UniqueFd find_daemon(const std::string& mount_point, pid_t& pid) {
  std::ifstream file(mount_point + "/.control/pid");
  if (!(file >> pid)) return {};
  // glibc 2.36 declares pidfd_open() without C linkage.
  UniqueFd daemon(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (command_of(pid) != "snapfs") return {};
  return daemon;
}

std::vector<std::string> device_files(const std::string& mount_point) {
  std::vector<std::string> files;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(
      ::opendir(mount_point.c_str()), ::closedir);
  if (!directory) return files;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] != '.')
      files.push_back(mount_point + "/" + entry->d_name);
  }
  return files;
}

// A request to a suspended device waits until it is resumed; what was written
// to it has been committed when it was suspended.
bool is_live(const std::string& mount_point, const std::string& file) {
  std::ifstream state(mount_point + "/.control/state/" +
                      std::filesystem::path(file).filename().string());
  std::string line;
  return std::getline(state, line) && line == "live";
}

// umount(2) itself tells the daemon too late to report an error.
void commit(const std::string& mount_point) {
  for (const std::string& path : device_files(mount_point)) {
    if (!is_live(mount_point, path)) continue;
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || ::fsync(file.get()) != 0)
      log_message(Severity::warning, path + ": " + std::strerror(errno));
  }
}

// 0, or the errno of the failure, which has been logged.
int unmount(const std::string& mount_point, const UnmountOptions& options) {
  int flags = UMOUNT_NOFOLLOW;
  if (options.lazy) flags |= MNT_DETACH;
  if (options.force) flags |= MNT_FORCE;
  if (::umount2(mount_point.c_str(), flags) == 0) return 0;
  const int error = errno;
  if (error == EPERM)
    return fusermount_unmount(mount_point, options.lazy) ? 0 : EBUSY;
  log_message(Severity::error, mount_point + ": " + std::strerror(error));
  return error;
}

// A process whose mount namespace still shows what was mounted, or 0.
pid_t still_mounted_for(const MountEntry& mount) {
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (shows(read_mount_table("/proc/" + name + "/mountinfo"), mount))
      return std::stoi(name);
  }
  return 0;
}

void wait_for_end(const UniqueFd& daemon, pid_t pid) {
  pollfd fd{daemon.get(), POLLIN, 0};
  int timeout = kNoticeMilliseconds;
  for (;;) {
    const int count = ::poll(&fd, 1, timeout);
    if (count > 0) return;
    if (count < 0 && errno != EINTR) return;
    if (count == 0) {
      log_message(Severity::notice,
                  "waiting for snapfs " + std::to_string(pid) + " to end");
      timeout = -1;
    }
  }
}

// Waits for the daemon, unless it has a reason to stay.
void see_daemon_off(const UniqueFd& daemon, pid_t pid,
                    const MountEntry& mount) {
  if (const pid_t other = still_mounted_for(mount)) {
    log_message(Severity::notice,
                "snapfs " + std::to_string(pid) + " serves on: process " +
                    describe_process(other) + " still sees the mount");
    return;
  }
  wait_for_end(daemon, pid);
}

}  // namespace

UnmountOptions parse_unmount_command(
    const std::vector<std::string>& arguments) {
  UnmountOptions options;
  // -n, -r and -t are what umount(8) may add and has no meaning here.
  const std::vector<std::string> words = parse_arguments(
      arguments, "lfvnrN:t:", {}, [&](int letter, const std::string& argument) {
        if (letter == 'N') options.mount_namespace = argument;
        if (letter == 'l') options.lazy = true;
        if (letter == 'f') options.force = true;
        if (letter == 'v') options.verbose = true;
      });
  if (words.empty()) throw UsageError("DIR is missing");
  if (words.size() > 1) throw UsageError("one argument too many: " + words[1]);
  options.mount_point = words[0];
  return options;
}

int run_unmount(const UnmountOptions& options) {
  if (options.mount_namespace) enter_mount_namespace(*options.mount_namespace);
  const std::optional<MountEntry> mount = find_mount(options.mount_point);
  if (!mount || !is_snapfs(*mount)) {
    log_message(Severity::error,
                options.mount_point + ": no snapfs is mounted there");
    return kExitMountFailure;
  }
  pid_t pid = 0;
  UniqueFd daemon;
  if (!options.force) {
    daemon = find_daemon(mount->mount_point, pid);
    commit(mount->mount_point);
  }
  if (const int error = unmount(mount->mount_point, options)) {
    if (error == EBUSY) {
      for (const std::string& line : mount_users(mount->mount_point))
        log_message(Severity::error, line);
    }
    return kExitMountFailure;
  }
  if (daemon && !options.lazy) see_daemon_off(daemon, pid, *mount);
  if (options.verbose)
    std::printf("%s unmounted.\n", mount->mount_point.c_str());
  return kExitOk;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/mount_command.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "core/error.h"
#include "fusefs/background.h"
#include "fusefs/daemon.h"
#include "fusefs/exit_status.h"
#include "fusefs/log.h"
#include "fusefs/mount_namespace.h"
#include "fusefs/privileges.h"
#include "fusefs/signals.h"
#include "fusefs/write_back.h"

namespace snapfs {
namespace {

std::string checked_mount_point(const std::string& path) {
  char canonical[PATH_MAX];
  struct stat stat;
  if (!::realpath(path.c_str(), canonical) || ::stat(canonical, &stat) != 0)
    throw_errno("mount point", path);
  if (!S_ISDIR(stat.st_mode)) throw_errno(ENOTDIR, "mount point", path);
  return canonical;
}

// The kernel can be told to give up on requests that take long. It then ends
// the whole mount, and a frozen device is meant to keep requests waiting.
void warn_of_request_timeouts() {
  for (const char* name : {"default_request_timeout", "max_request_timeout"}) {
    unsigned seconds = 0;
    std::ifstream file(std::string("/proc/sys/fs/fuse/") + name);
    if (file >> seconds && seconds > 0) {
      log_message(Severity::warning,
                  std::string("fs.fuse.") + name + " is " +
                      std::to_string(seconds) +
                      " s: the kernel will end the mount when a device stays "
                      "suspended for longer");
    }
  }
}

// Whoever waits on a suspended device looks hung to the kernel.
void warn_of_hung_task_panic() {
  unsigned panic = 0;
  unsigned seconds = 0;
  std::ifstream("/proc/sys/kernel/hung_task_panic") >> panic;
  std::ifstream("/proc/sys/kernel/hung_task_timeout_secs") >> seconds;
  if (panic == 0 || seconds == 0) return;
  log_message(Severity::warning,
              "kernel.hung_task_panic is set: the kernel may panic when a "
              "program has waited for a suspended device for " +
                  std::to_string(seconds) + " s");
}

// Before the first device is open, so that it holds none.
std::unique_ptr<WriteBackProcess> start_write_back() {
  try {
    return std::make_unique<WriteBackProcess>();
  } catch (const std::system_error& error) {
    log_message(Severity::warning,
                std::string("shared mappings will not be written back when a "
                            "device is suspended: ") +
                    error.what());
    return nullptr;
  }
}

// Each device keeps descriptors open. The soft limit is what select(2) can
// take, which nobody here uses.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void prepare_process() {
  block_daemon_signals();
  // By this name, which mount.snapfs does not have by itself, others tell a
  // snapfs from other users of a device.
  ::prctl(PR_SET_NAME, "snapfs");
  // Writing out dirty pages may end up in this process: it must not wait for
  // that itself. Fails without CAP_SYS_RESOURCE, and then so be it.
  ::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
  ::umask(S_IRWXG | S_IRWXO);
  raise_descriptor_limit();
  if (!keep_capabilities(kDaemonCapabilities)) {
    log_message(Severity::warning,
                std::string("privileges that are not needed could not be given "
                            "up: ") +
                    std::strerror(errno));
  }
}

// Runs the mount to its end in this process.
int run_daemon(const MountOptions& options, const std::string& mount_point,
               Background& background) {
  prepare_process();
  warn_of_request_timeouts();
  warn_of_hung_task_panic();
  const std::unique_ptr<WriteBackProcess> write_back = start_write_back();
  Daemon daemon(options, mount_point, write_back.get());
  daemon.start();
  if (end_signal_pending() || !background.ready()) {
    log_message(Severity::error, "interrupted");
    return kExitInterrupted;
  }
  daemon.keep();
  daemon.serve();
  return kExitOk;
}

void say_mounted(const MountOptions& options) {
  if (options.verbose)
    std::printf("%s mounted on %s.\n", options.spec.c_str(),
                options.mount_point.c_str());
}

int run_checked(const MountOptions& given) {
  MountOptions options = given;
  if (options.mount_namespace) {
    options.spec = std::filesystem::absolute(options.spec);
    options.mount_point = std::filesystem::absolute(options.mount_point);
    enter_mount_namespace(*options.mount_namespace);
  }
  const std::string mount_point = checked_mount_point(options.mount_point);
  if (options.fake) {
    read_spec(options.spec);
    return kExitOk;
  }
  set_log_threshold(options.debug        ? Severity::debug
                    : options.foreground ? Severity::info
                                         : Severity::notice);
  Background background;
  if (!options.foreground) {
    if (const auto status = background.detach()) {
      if (*status == kExitOk) say_mounted(options);
      return *status;
    }
  }
  return run_daemon(options, mount_point, background);
}

}  // namespace

int run_mount(const MountOptions& options) {
  try {
    return run_checked(options);
  } catch (const TableError& error) {
    log_placed_error(error.what());
  } catch (const std::bad_alloc&) {
    log_message(Severity::error, "out of memory");
    return kExitSystemError;
  } catch (const std::exception& error) {
    log_message(Severity::error, error.what());
  }
  return kExitMountFailure;
}

}  // namespace snapfs

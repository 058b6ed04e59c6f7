// SPDX-License-Identifier: MIT
#include "fusefs/session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "core/error.h"
#include "fusefs/fusermount.h"
#include "fusefs/log.h"
#include "fusefs/snapfs_mounts.h"

namespace snapfs {
namespace {

// Interrupts the wait of the thread in run(), nothing else.
constexpr int kWakeSignal = SIGUSR1;

void take_wake_signal() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  ::sigaction(kWakeSignal, &action, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, kWakeSignal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

fuse_session* new_session(const fuse_lowlevel_ops& operations, void* userdata,
                          const std::vector<std::string>& mount_options) {
  fuse_args args = FUSE_ARGS_INIT(0, nullptr);
  const std::unique_ptr<fuse_args, decltype(&fuse_opt_free_args)> owner(
      &args, fuse_opt_free_args);
  bool added = fuse_opt_add_arg(&args, "snapfs") == 0;
  for (const std::string& option : mount_options)
    added = added && fuse_opt_add_arg(&args, ("-o" + option).c_str()) == 0;
  if (!added) throw std::bad_alloc();
  take_libfuse_log();
  fuse_session* session =
      fuse_session_new(&args, &operations, sizeof operations, userdata);
  if (!session) throw_errno(EINVAL, "fuse_session_new", "");
  return session;
}

// A number that no other mount ever gets, of what stands at a path, without
// asking whoever serves it. Empty: a kernel before Linux 6.8.
std::optional<uint64_t> unique_mount_id(const std::string& path) {
  constexpr unsigned kMountIdUnique = 0x4000;  // STATX_MNT_ID_UNIQUE
  struct statx status {};
  if (::statx(AT_FDCWD, path.c_str(),
              AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
              kMountIdUnique, &status) != 0 ||
      (status.stx_mask & kMountIdUnique) == 0)
    return {};
  return status.stx_mnt_id;
}

}  // namespace

Session::Session(const fuse_lowlevel_ops& operations, void* userdata,
                 Options options)
    : operations_(operations), options_(std::move(options)) {
  session_ =
      new_session(with_init(operations_), userdata, options_.mount_options);
}

Session::~Session() {
  if (!mount_point_.empty()) {
    // libfuse unmounts by path. It leaves a dead mount alone, also one that was
    // aborted and still stands there, but not what somebody has mounted over a
    // live one.
    if (outlived_its_connection_ && is_on_top())
      ::umount2(mount_point_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    if (is_dead() || is_on_top()) fuse_session_unmount(session_);
  }
  fuse_session_destroy(session_);
}

void Session::mount(const std::string& mount_point) {
  if (fuse_session_mount(session_, mount_point.c_str()) != 0)
    throw std::runtime_error("cannot mount on " + mount_point);
  mount_point_ = mount_point;
  // One that came from fusermount3 is not close-on-exec in every version.
  ::fcntl(fuse_session_fd(session_), F_SETFD, FD_CLOEXEC);
  if (const auto entry = mounted_at(read_mount_table(), mount_point))
    device_ = entry->device;
  id_ = unique_mount_id(mount_point_);
}

void Session::run() {
  take_wake_signal();
  {
    MutexLock lock(mutex_);
    running_ = true;
    runner_ = ::pthread_self();
  }
  const std::unique_ptr<fuse_loop_config, decltype(&fuse_loop_cfg_destroy)>
      config(fuse_loop_cfg_create(), fuse_loop_cfg_destroy);
  fuse_loop_cfg_set_max_threads(config.get(), options_.max_threads);
  fuse_loop_cfg_set_clone_fd(config.get(), options_.clone_fd ? 1 : 0);
  const int result = fuse_session_loop_mt(session_, config.get());
  // To be seen at once: where mounts have no unique number, a later mount may
  // be given our device number.
  outlived_its_connection_ = is_dead() && device_ && is_on_top();
  {
    MutexLock lock(mutex_);
    running_ = false;
    ended_.notify_all();
  }
  // After an abort the kernel answers ECONNABORTED, where libfuse expects
  // ENODEV.
  if (result < 0 && !is_dead())
    throw_errno(-result, "reading requests of", mount_point_);
}

Session::UnmountResult Session::unmount() {
  // Somebody was faster.
  if (is_dead()) return UnmountResult::done;
  if (!is_on_top()) {
    log_message(Severity::error,
                mount_point_ +
                    " does not show this mount: it was unmounted "
                    "lazily, or something is mounted over it");
    return UnmountResult::failed;
  }
  if (::umount2(mount_point_.c_str(), UMOUNT_NOFOLLOW) == 0)
    return UnmountResult::done;
  if (errno == EPERM)
    return fusermount_unmount(mount_point_) ? UnmountResult::done
                                            : UnmountResult::busy;
  if (errno == EBUSY) return UnmountResult::busy;
  log_message(Severity::error,
              "unmounting " + mount_point_ + ": " + std::strerror(errno));
  return UnmountResult::failed;
}

void Session::end() {
  fuse_session_exit(session_);
  // libfuse waits on a semaphore that only its threads post. A signal that
  // comes just before that wait is lost, so it is sent until it was heard.
  MutexLock lock(mutex_);
  while (running_) {
    ::pthread_kill(runner_, kWakeSignal);
    ended_.wait_until(mutex_, std::chrono::steady_clock::now() +
                                  std::chrono::milliseconds(10));
  }
}

bool Session::is_dead() const {
  pollfd fd{fuse_session_fd(session_), 0, 0};
  return ::poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR);
}

bool Session::is_on_top() const {
  if (!device_) return true;  // not to be known: no /proc
  const auto entry = mounted_at(read_mount_table(), mount_point_);
  return entry && entry->device == *device_ &&
         (!id_ || unique_mount_id(mount_point_) == id_);
}

}  // namespace snapfs

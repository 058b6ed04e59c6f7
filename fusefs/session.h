// SPDX-License-Identifier: MIT
//
// One mount: libfuse's session from the mount to the end of its loop. All
// functions belong to the thread that made it, but for unmount() and end(),
// which any thread may call while run() is at work.
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "core/mutex.h"
#include "fusefs/fuse.h"
#include "fusefs/init_flags.h"

namespace snapfs {

class Session {
 public:
  struct Options {
    // Each is one argument of libfuse's -o.
    std::vector<std::string> mount_options = {};
    unsigned max_threads = 32;
    bool clone_fd = false;  // a /dev/fuse descriptor for each thread
  };

  // `userdata` must live longer than the session. Throws std::system_error if
  // libfuse does not like the options.
  Session(const fuse_lowlevel_ops& operations, void* userdata, Options options);
  // Unmounts, lazily, what is still mounted. REQUIRES: run() is not running.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  fuse_session* get() const { return session_; }

  // Mounts on a directory, by itself or through fusermount3. Requests wait in
  // the kernel from here on. `mount_point`: absolute and canonical. Throws
  // std::runtime_error; libfuse has logged the reason.
  void mount(const std::string& mount_point);

  // Agrees with the kernel on limits and flags. Call once, after mount().
  InitOutcome negotiate() { return answer_init(session_, operations_); }

  // Serves requests until the mount has ended, by whomever. Throws
  // std::system_error if reading requests fails.
  void run();

  // st_dev of what is in the mount; empty before mount(), or if /proc does not
  // tell.
  std::optional<dev_t> device() const { return device_; }

  enum class UnmountResult { done, busy, failed };

  // Unmounts if nothing in the mount is in use; run() then returns by itself.
  // Why it failed has been logged.
  UnmountResult unmount();

  // Makes run() return although the mount is in use: users of its files get
  // errors from then on. Waits until it is so.
  void end() EXCLUDES(mutex_);

 private:
  // Has the connection to the kernel been ended?
  bool is_dead() const;
  // Is this mount what its mount point shows?
  bool is_on_top() const;

  const fuse_lowlevel_ops operations_;  // as given
  const Options options_;
  fuse_session* session_ = nullptr;
  std::string mount_point_;      // empty: not mounted
  std::optional<dev_t> device_;  // of the superblock; empty: not found
  std::optional<uint64_t> id_;   // of the mount; empty: the kernel has none
  bool outlived_its_connection_ = false;  // aborted, and in use

  Mutex mutex_;
  CondVar ended_;
  bool running_ GUARDED_BY(mutex_) = false;
  pthread_t runner_ GUARDED_BY(mutex_){};
};

}  // namespace snapfs

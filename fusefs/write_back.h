// SPDX-License-Identifier: MIT
//
// A process beside the daemon that asks the kernel to write back what programs
// have changed through shared mappings of a device's file. The kernel does that
// by requests to the daemon; a thread of the daemon that waited for them could
// not be killed. This process has no descriptor of /dev/fuse, so that the mount
// ends with the daemon and with it every wait here. Thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "core/mutex.h"
#include "core/unique_fd.h"

namespace snapfs {

class WriteBackProcess {
 public:
  // How long an answer is waited for. What takes longer goes on without us.
  static constexpr std::chrono::seconds kPatience{30};

  // Forks. Must be called by the process that will serve the mount, before it
  // opens devices. Throws std::system_error.
  WriteBackProcess();
  // Ends the process and waits for it.
  ~WriteBackProcess();
  WriteBackProcess(const WriteBackProcess&) = delete;
  WriteBackProcess& operator=(const WriteBackProcess&) = delete;

  // Where the files are. `filesystem`: st_dev of what is mounted there.
  void set_mount(const std::string& directory, dev_t filesystem)
      EXCLUDES(mutex_);

  // Writes the dirty pages of the file NAME back. 0, or an errno: ENODEV if the
  // file cannot be reached (unmounted lazily), ETIMEDOUT.
  int write_back(const std::string& name) EXCLUDES(mutex_);

  // Makes the kernel ask for the file's size. The same errors.
  int refresh(const std::string& name) EXCLUDES(mutex_);

  pid_t pid() const { return pid_; }

 private:
  enum class Task : uint32_t { write_back, refresh };
  struct Request;
  struct Answer;

  static void serve(int socket);
  static int carry_out(const Request& request);
  int ask(Task task, const std::string& name) EXCLUDES(mutex_);
  int wait_for_answer(uint64_t number) REQUIRES(mutex_);

  pid_t pid_ = -1;
  UniqueFd socket_;
  Mutex mutex_;
  std::string directory_ GUARDED_BY(mutex_);
  dev_t filesystem_ GUARDED_BY(mutex_) = 0;
  uint64_t last_number_ GUARDED_BY(mutex_) = 0;
};

}  // namespace snapfs

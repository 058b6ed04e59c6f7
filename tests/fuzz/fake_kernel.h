// SPDX-License-Identifier: MIT
//
// The kernel's end of a FUSE connection, in the process: sends requests to a
// session of libfuse and takes the answers, of which each request has one. One
// at a time; answers may come from any thread.
#pragma once

#include <linux/fuse.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "core/mutex.h"
#include "fusefs/fuse.h"

namespace snapfs::test {

class FakeKernel {
 public:
  struct Answer {
    int error = 0;  // an errno
    std::string data;
  };

  // The session is ready for requests.
  FakeKernel(const fuse_lowlevel_ops& operations, void* userdata);
  // REQUIRES: everything has been answered.
  ~FakeKernel();
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;

  fuse_session* session() const { return session_; }

  // Who sends the requests that follow.
  void set_process(pid_t process) { process_ = process; }

  // Returns the request's number.
  uint64_t send(uint32_t opcode, uint64_t node, std::string_view body)
      EXCLUDES(mutex_);

  bool is_answered(uint64_t number) const EXCLUDES(mutex_);
  // How many requests have no answer yet.
  std::size_t open_requests() const EXCLUDES(mutex_);
  // Waits for the answer; ends the program if none comes.
  Answer wait(uint64_t number) EXCLUDES(mutex_);

 private:
  ssize_t take(const iovec* parts, int count) EXCLUDES(mutex_);

  static inline FakeKernel* current_ = nullptr;

  fuse_session* session_ = nullptr;
  pid_t process_ = 0;

  mutable Mutex mutex_;
  CondVar answered_;
  uint64_t last_ GUARDED_BY(mutex_) = 0;
  std::set<uint64_t> open_ GUARDED_BY(mutex_);
  std::map<uint64_t, Answer> answers_ GUARDED_BY(mutex_);
};

// The bytes of a structure, as a part of a message.
template <typename Body>
std::string_view bytes_of(const Body& body) {
  return {reinterpret_cast<const char*>(&body), sizeof(body)};
}

}  // namespace snapfs::test

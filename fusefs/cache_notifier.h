// SPDX-License-Identifier: MIT
//
// Tells the kernel that what it keeps of a file is stale. That waits for
// requests of this file, so it is done by a thread of its own, and whoever asks
// waits for a limited time. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "core/mutex.h"
#include "core/unique_fd.h"
#include "fusefs/fuse.h"

namespace snapfs {

class CacheNotifier {
 public:
  static constexpr std::chrono::seconds kPatience{10};

  CacheNotifier() : thread_([this] { run(); }) {}
  // Waits for what is under way: the session must have ended, or answer.
  ~CacheNotifier();

  // Drops the pages and the attributes that the kernel has of the node: they
  // are gone on return. False: that has taken too long, and goes on.
  // `session` may be null: nothing is mounted.
  bool invalidate(fuse_session* session, uint64_t inode) EXCLUDES(mutex_);

  // The same for whoever cannot wait. `find` tells the node, in the thread; 0:
  // there is none.
  void invalidate_later(fuse_session* session, std::function<uint64_t()> find)
      EXCLUDES(mutex_);

 private:
  struct Job {
    UniqueFd channel;  // the session's; our own, for it may end before
    std::function<uint64_t()> find;
    bool done = false;
  };

  // Null: nothing is mounted.
  std::shared_ptr<Job> add(fuse_session* session,
                           std::function<uint64_t()> find) EXCLUDES(mutex_);
  void run() noexcept EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::shared_ptr<Job>> jobs_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: starts when everything above exists
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// The kernel tells once that the sender of a request got a signal. If that one
// was harmless, the request goes on waiting, and a later SIGKILL would come
// without a word. So these senders are looked at twice a second, by one thread
// that sleeps while there are none. Thread-safe.
#pragma once

#include <set>
#include <thread>

#include "core/mutex.h"

namespace snapfs {

class Watched {
 public:
  virtual ~Watched() = default;
  // Looks at the sender. True: no need to look again. Called with the watch's
  // lock held, so forget() waits for it; must not call the watch.
  virtual bool check_sender() noexcept = 0;
};

class SignalWatch {
 public:
  SignalWatch() : thread_([this] { run(); }) {}
  ~SignalWatch();

  void add(Watched& request) noexcept EXCLUDES(mutex_);

  // No call of check_sender() is running or will come, on return.
  void forget(Watched& request) noexcept EXCLUDES(mutex_);

 private:
  void run() noexcept EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::set<Watched*> watched_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: starts when everything above exists
};

}  // namespace snapfs

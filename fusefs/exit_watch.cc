// SPDX-License-Identifier: MIT
#include "fusefs/exit_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <utility>

#include "core/error.h"

namespace snapfs {
namespace {

// glibc 2.36 has pidfd_open() in a header that C++ cannot be sure of.
UniqueFd open_process(pid_t process) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
}

UniqueFd open_eventfd() {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) throw_errno("make", "an eventfd");
  return fd;
}

}  // namespace

ExitWatch::ExitWatch(std::function<void(const std::string&)> callback,
                     std::chrono::milliseconds patience)
    : callback_(std::move(callback)),
      patience_(patience),
      wake_(open_eventfd()),
      thread_([this] { run(); }) {}

ExitWatch::~ExitWatch() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
}

void ExitWatch::watch(const std::string& key, pid_t process) {
  Clock::time_point deadline = Clock::now();
  UniqueFd fd = open_process(process);
  const bool is_gone = !fd && errno == ESRCH;
  if (!is_gone) deadline += patience_;
  {
    MutexLock lock(mutex_);
    entries_.insert_or_assign(key, Entry{std::move(fd), deadline});
  }
  wake();
}

void ExitWatch::forget(const std::string& key) {
  MutexLock lock(mutex_);
  entries_.erase(key);
}

void ExitWatch::wake() const noexcept {
  uint64_t one = 1;
  // Fails only if it has been told so often before that it will wake anyway.
  static_cast<void>(!::write(wake_.get(), &one, sizeof(one)));
}

void ExitWatch::run() noexcept {
  while (true) {
    std::vector<std::string> keys;
    try {
      keys = wait_for_keys();
    } catch (const std::exception&) {
      // Out of memory for a moment: the entries are still there.
    }
    for (const std::string& key : keys) callback_(key);
    MutexLock lock(mutex_);
    if (stopping_) return;
  }
}

// Sleeps until an entry is due, or the entries change (then: none). Takes the
// due ones out.
std::vector<std::string> ExitWatch::wait_for_keys() {
  // The descriptors polled are the entries' own: one that is closed meanwhile
  // is at worst looked at once too often, since all is checked again below.
  std::vector<pollfd> polled{{wake_.get(), POLLIN, 0}};
  Clock::time_point deadline = Clock::time_point::max();
  {
    MutexLock lock(mutex_);
    if (stopping_) return {};
    for (const auto& [key, entry] : entries_) {
      if (entry.process) polled.push_back({entry.process.get(), POLLIN, 0});
      deadline = std::min(deadline, entry.deadline);
    }
  }
  int timeout = -1;
  if (deadline != Clock::time_point::max()) {
    auto rest =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    timeout = static_cast<int>(std::max<int64_t>(rest.count(), 0));
  }
  ::poll(polled.data(), polled.size(), timeout);
  uint64_t count = 0;
  static_cast<void>(!::read(wake_.get(), &count, sizeof(count)));

  std::vector<std::string> due;
  MutexLock lock(mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    pollfd process{it->second.process.get(), POLLIN, 0};
    bool ended = process.fd >= 0 && ::poll(&process, 1, 0) == 1;
    if (ended || it->second.deadline <= Clock::now()) {
      due.push_back(it->first);
      it = entries_.erase(it);
    } else {
      ++it;
    }
  }
  return due;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/cache_notifier.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <utility>

namespace snapfs {
namespace {

// As fuse_lowlevel_notify_inval_inode() writes it, which uses the session also
// after the kernel has returned. What the kernel says does not matter: it does
// not know the node, or pages could not be written to a device that is gone.
void tell_kernel(int channel, uint64_t inode) {
  struct {
    fuse_out_header header;
    fuse_notify_inval_inode_out body;
  } message{};
  static_assert(sizeof message == sizeof message.header + sizeof message.body);
  message.header.len = sizeof message;
  message.header.error = FUSE_NOTIFY_INVAL_INODE;
  message.body.ino = inode;
  static_cast<void>(!::write(channel, &message, sizeof message));
}

}  // namespace

CacheNotifier::~CacheNotifier() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

std::shared_ptr<CacheNotifier::Job> CacheNotifier::add(
    fuse_session* session, std::function<uint64_t()> find) {
  if (session == nullptr) return nullptr;
  auto job = std::make_shared<Job>();
  job->channel =
      UniqueFd(::fcntl(fuse_session_fd(session), F_DUPFD_CLOEXEC, 0));
  job->find = std::move(find);
  if (!job->channel) return nullptr;
  MutexLock lock(mutex_);
  jobs_.push_back(job);
  changed_.notify_all();
  return job;
}

bool CacheNotifier::invalidate(fuse_session* session, uint64_t inode) {
  std::shared_ptr<Job> job = add(session, [inode] { return inode; });
  if (job == nullptr) return true;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (!job->done && std::chrono::steady_clock::now() < deadline)
    changed_.wait_until(mutex_, deadline);
  return job->done;
}

void CacheNotifier::invalidate_later(fuse_session* session,
                                     std::function<uint64_t()> find) {
  add(session, std::move(find));
}

void CacheNotifier::run() noexcept {
  MutexLock lock(mutex_);
  for (;;) {
    while (jobs_.empty() && !stopping_) changed_.wait(mutex_);
    if (jobs_.empty()) return;
    std::shared_ptr<Job> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    if (const uint64_t inode = job->find())
      tell_kernel(job->channel.get(), inode);
    job->channel.reset();
    lock.lock();
    job->done = true;
    changed_.notify_all();
  }
}

}  // namespace snapfs

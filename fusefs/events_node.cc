// SPDX-License-Identifier: MIT
#include "fusefs/events_node.h"

#include <cerrno>
#include <new>
#include <utility>

#include "fusefs/event_reader.h"
#include "fusefs/follower.h"
#include "fusefs/text_node.h"

namespace snapfs {
namespace {

class EventsHandle : public Handle {
 public:
  explicit EventsHandle(std::shared_ptr<Follower> follower)
      : follower_(std::move(follower)) {}

  void read(Reply& reply, uint64_t offset, std::size_t size,
            int flags) override {
    follower_->read(reply, offset, size, flags);
  }
  void poll(Reply& reply, PollHandle poll_handle) override {
    follower_->poll(reply, std::move(poll_handle));
  }

 private:
  const std::shared_ptr<Follower> follower_;
};

class LogHandle : public Handle {
 public:
  explicit LogHandle(const EventLog& log) : reader_(log, 0) {}

  void read(Reply& reply, uint64_t offset, std::size_t size, int) override {
    std::string text;
    {
      MutexLock lock(mutex_);
      text = reader_.read(offset, size);
    }
    reply_text(reply, text, 0, size);
  }

 private:
  Mutex mutex_;
  EventReader reader_ GUARDED_BY(mutex_);
};

}  // namespace

void EventHub::follow(const std::shared_ptr<Follower>& follower) {
  MutexLock lock(mutex_);
  std::erase_if(followers_, [](const auto& other) { return other.expired(); });
  followers_.push_back(follower);
}

void EventHub::notify() noexcept {
  MutexLock lock(mutex_);
  if (stopped_ || queued_ != nullptr) return;
  queued_ = shared_from_this();
  context_.pool.submit(*this);
}

void EventHub::stop() noexcept {
  MutexLock lock(mutex_);
  stopped_ = true;
}

void EventHub::run() noexcept {
  std::shared_ptr<EventHub> self;
  {
    MutexLock lock(mutex_);
    self = std::move(queued_);
  }
  try {
    for (const std::shared_ptr<Follower>& follower : followers()) {
      follower->deliver();
    }
  } catch (const std::bad_alloc&) {
    // They hear of it with the next event.
  }
}

std::vector<std::shared_ptr<Follower>> EventHub::followers() {
  std::vector<std::shared_ptr<Follower>> result;
  MutexLock lock(mutex_);
  for (const std::weak_ptr<Follower>& weak : followers_) {
    if (std::shared_ptr<Follower> follower = weak.lock()) {
      result.push_back(std::move(follower));
    }
  }
  return result;
}

struct stat EventsNode::attributes() const {
  return context_.attributes(inode(), S_IFREG | 0400, 0);
}

std::unique_ptr<Handle> EventsNode::open(const Caller&, int flags) {
  if (opens_for_writing(flags)) refuse(EACCES);
  auto follower = std::make_shared<Follower>(context_);
  hub_->follow(follower);
  return std::make_unique<EventsHandle>(follower);
}

// Counts from the beginning of the mount, also when lines have been dropped:
// a size that shrank would make tail(1) begin anew.
struct stat LogNode::attributes() const {
  return context_.attributes(inode(), S_IFREG | 0400, context_.events.end());
}

std::unique_ptr<Handle> LogNode::open(const Caller&, int flags) {
  if (opens_for_writing(flags)) refuse(EACCES);
  return std::make_unique<LogHandle>(context_.events);
}

}  // namespace snapfs

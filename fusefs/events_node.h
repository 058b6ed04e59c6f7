// SPDX-License-Identifier: MIT
//
// .control/events, the stream whose readers wait for the next line, and
// .control/log, the same lines as an ordinary file. A waiting reader holds no
// thread. Thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "core/mutex.h"
#include "fusefs/event_log.h"
#include "fusefs/node.h"
#include "fusefs/tree_context.h"
#include "fusefs/worker_pool.h"

namespace snapfs {

class Follower;

// Brings news from the event log to those who follow it: events are reported
// with locks of the core held, so the readers are answered by a pool thread.
class EventHub : public WorkItem,
                 public std::enable_shared_from_this<EventHub> {
 public:
  explicit EventHub(TreeContext& context) : context_(context) {}

  void follow(const std::shared_ptr<Follower>& follower) EXCLUDES(mutex_);

  // There is news. Does not block.
  void notify() noexcept EXCLUDES(mutex_);

  // Nothing is passed on after this.
  void stop() noexcept EXCLUDES(mutex_);

  void run() noexcept override EXCLUDES(mutex_);

 private:
  std::vector<std::shared_ptr<Follower>> followers() EXCLUDES(mutex_);

  TreeContext& context_;
  Mutex mutex_;
  std::vector<std::weak_ptr<Follower>> followers_ GUARDED_BY(mutex_);
  std::shared_ptr<EventHub> queued_ GUARDED_BY(mutex_);  // itself, while queued
  bool stopped_ GUARDED_BY(mutex_) = false;
};

class EventsNode : public Node {
 public:
  EventsNode(TreeContext& context, std::shared_ptr<EventHub> hub)
      : Node(kEventsInode), context_(context), hub_(std::move(hub)) {}

  struct stat attributes() const override;
  std::unique_ptr<Handle> open(const Caller& caller, int flags) override;

 private:
  TreeContext& context_;
  const std::shared_ptr<EventHub> hub_;
};

class LogNode : public Node {
 public:
  explicit LogNode(TreeContext& context) : Node(kLogInode), context_(context) {}

  struct stat attributes() const override;
  std::unique_ptr<Handle> open(const Caller& caller, int flags) override;

 private:
  TreeContext& context_;
};

}  // namespace snapfs

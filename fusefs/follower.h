// SPDX-License-Identifier: MIT
//
// One open .control/events: its place in the stream, the reads that wait for
// the next line, and the poll that does. Thread-safe.
#pragma once

#include <list>

#include "core/mutex.h"
#include "fusefs/event_reader.h"
#include "fusefs/node.h"
#include "fusefs/tree_context.h"

namespace snapfs {

class Follower {
 public:
  explicit Follower(TreeContext& context)
      : context_(context), reader_(context.events, context.events.end()) {}

  // Answers now or when there is something; at once, with nothing, when the
  // mount is ending, and EAGAIN with O_NONBLOCK.
  void read(Reply& reply, uint64_t offset, std::size_t size, int flags)
      EXCLUDES(mutex_);
  void poll(Reply& reply, PollHandle poll_handle) EXCLUDES(mutex_);

  // Answers those who wait for what has come.
  void deliver() EXCLUDES(mutex_);

 private:
  struct Waiting {
    Follower* follower;
    Reply reply;
    uint64_t offset;
    std::size_t size;
    bool interrupted = false;
  };
  using Queue = std::list<Waiting>;

  void wait(Reply& reply, uint64_t offset, std::size_t size) EXCLUDES(mutex_);
  void finish(Queue done) EXCLUDES(mutex_);
  static void on_interrupt(fuse_req_t request, void* data) noexcept;

  TreeContext& context_;
  Mutex mutex_;
  EventReader reader_ GUARDED_BY(mutex_);
  Queue waiting_ GUARDED_BY(mutex_);
  PollHandle poll_handle_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

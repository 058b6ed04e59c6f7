// SPDX-License-Identifier: MIT
#include "fusefs/follower.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "fusefs/text_node.h"

namespace snapfs {

void Follower::read(Reply& reply, uint64_t offset, std::size_t size,
                    int flags) {
  std::string text;
  {
    MutexLock lock(mutex_);
    text = reader_.read(offset, size);
  }
  if (!text.empty() || size == 0 || context_.ending) {
    return reply_text(reply, text, 0, size);
  }
  if ((flags & O_NONBLOCK) != 0) refuse(EAGAIN);
  wait(reply, offset, size);
}

// libfuse calls on_interrupt() with the request locked, and disarming takes
// that lock. So it is armed and disarmed without our lock, before the read can
// be seen in the queue and after it has been taken out.
void Follower::wait(Reply& reply, uint64_t offset, std::size_t size) {
  Queue queue;
  queue.push_back({.follower = this,
                   .reply = std::move(reply),
                   .offset = offset,
                   .size = size});
  Waiting& waiting = queue.back();
  waiting.reply.on_interrupt(&Follower::on_interrupt, &waiting);
  {
    MutexLock lock(mutex_);
    if (!waiting.interrupted && !reader_.has_data_at(offset) &&
        !context_.ending) {
      waiting_.splice(waiting_.end(), queue);
    }
  }
  finish(std::move(queue));
}

void Follower::deliver() {
  Queue done;
  PollHandle poll_handle;
  {
    MutexLock lock(mutex_);
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      auto next = std::next(it);
      if (context_.ending || reader_.has_data_at(it->offset)) {
        done.splice(done.end(), waiting_, it);
      }
      it = next;
    }
    if (context_.ending || reader_.has_more()) {
      poll_handle = std::move(poll_handle_);
    }
  }
  finish(std::move(done));
  if (poll_handle != nullptr) fuse_lowlevel_notify_poll(poll_handle.get());
}

// Answers reads that are in nobody's queue.
void Follower::finish(Queue done) {
  for (Waiting& waiting : done) {
    waiting.reply.on_interrupt(nullptr, nullptr);
    answer(waiting.reply, [&] {
      if (waiting.interrupted) refuse(EINTR);
      std::string text;
      {
        MutexLock lock(mutex_);
        text = reader_.read(waiting.offset, waiting.size);
      }
      reply_text(waiting.reply, text, 0, waiting.size);
    });
  }
}

// A reader of a stream may be interrupted by any signal, as by read(2) of a
// pipe. The read is either in the queue, or about to enter it or just out of
// it; then whoever has it disarms us before it is destroyed.
void Follower::on_interrupt(fuse_req_t, void* data) noexcept {
  auto* waiting = static_cast<Waiting*>(data);
  Follower& follower = *waiting->follower;
  Queue done;
  {
    MutexLock lock(follower.mutex_);
    waiting->interrupted = true;
    auto found =
        std::find_if(follower.waiting_.begin(), follower.waiting_.end(),
                     [&](const Waiting& other) { return &other == waiting; });
    if (found == follower.waiting_.end()) return;
    done.splice(done.end(), follower.waiting_, found);
  }
  waiting->reply.error(EINTR);
}

// The handle is kept also when there is something to read: an edge-triggered
// epoll does not ask again before the next event.
void Follower::poll(Reply& reply, PollHandle poll_handle) {
  bool ready = false;
  {
    MutexLock lock(mutex_);
    ready = context_.ending || reader_.has_more();
    if (poll_handle != nullptr) poll_handle_ = std::move(poll_handle);
  }
  reply.poll(ready ? POLLIN | POLLRDNORM : 0);
}

}  // namespace snapfs

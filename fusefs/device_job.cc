// SPDX-License-Identifier: MIT
#include "fusefs/device_job.h"

#include <cerrno>
#include <new>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/no_room_yet.h"
#include "fusefs/caller.h"
#include "fusefs/device_node.h"
#include "fusefs/tree_context.h"

namespace snapfs {
namespace {

void send(Reply& reply, const DeviceRequest& request,
          const DeviceOutcome& outcome) {
  switch (request.kind) {
    case DeviceRequest::Kind::read:
      return reply.data(outcome.data);
    case DeviceRequest::Kind::write:
      return reply.written(outcome.value);
    case DeviceRequest::Kind::seek_data:
    case DeviceRequest::Kind::seek_hole:
      return reply.position(outcome.value);
    case DeviceRequest::Kind::flush:
    case DeviceRequest::Kind::zero:
    case DeviceRequest::Kind::discard:
      return reply.ok();
  }
}

DeviceOutcome carry_out_inside(DeviceNode& node, DeviceRequest& request) {
  std::shared_ptr<Target> target = node.device().live();
  if (target == nullptr) throw std::system_error(Errc::device_gone);
  return node.carry_out(*target, request);
}

}  // namespace

void DeviceJob::start(const std::shared_ptr<DeviceNode>& node, Reply& reply,
                      DeviceRequest request) {
  // A request that need not wait costs no allocation: the job that stood ready
  // for it stays for the next one.
  thread_local std::unique_ptr<DeviceJob> spare;
  if (spare == nullptr) spare = std::make_unique<DeviceJob>();
  const uint64_t abort_count = node->abort_count();
  std::optional<Admission::Pass> pass =
      node->device().admission().enter(*spare);
  if (!pass) {
    DeviceJob* job = spare.release();
    job->own(node, reply, request, abort_count);
    return job->parked();
  }
  DeviceOutcome outcome;
  std::shared_ptr<Admission> room;
  try {
    outcome = carry_out_inside(*node, request);
  } catch (const NoRoomYet& not_now) {
    room = not_now.gate();
  }
  pass.reset();
  if (room == nullptr && outcome.finished) return send(reply, request, outcome);
  DeviceJob* job = spare.release();
  job->own(node, reply, request, abort_count);
  if (room != nullptr) return job->park_for_room(std::move(room));
  node->context().pool.submit(*job);
}

void DeviceJob::own(const std::shared_ptr<DeviceNode>& node, Reply& reply,
                    const DeviceRequest& request, uint64_t abort_count) {
  node_ = node;
  abort_count_ = abort_count;
  sender_ = caller_of(reply.request()).thread;
  reply_ = std::move(reply);
  request_ = request;
  // The data lies in a buffer that the next request will overwrite.
  try {
    data_.assign(request.data.begin(), request.data.end());
  } catch (const std::bad_alloc&) {
    error_ = ENOMEM;
  }
  request_.data = data_;
}

Admission& DeviceJob::gate() noexcept {
  return room_ != nullptr ? *room_ : node_->device().admission();
}

// REQUIRES: it is inside no gate.
void DeviceJob::park_for_room(std::shared_ptr<Admission> room) noexcept {
  room_ = std::move(room);
  node_->waits_for_room(1);
  one_side_done_ = false;
  try {
    if (!room_->enter(*this)) return parked();
    // There is room already.
  } catch (const std::bad_alloc&) {
    error_ = ENOMEM;
  }
  reply_.on_interrupt(&DeviceJob::on_interrupt, this);
  node_->context().pool.submit(*this);
}

// The last thing that the owner of a job does after enter() has parked it: from
// here on others may run and destroy it.
void DeviceJob::parked() noexcept {
  // After a shut-down or an abort that woke the queue before we were in it,
  // nobody else would wake us.
  bool ending = node_->context().ending;
  if ((error_ != 0 || ending || is_aborted()) && gate().withdraw(*this)) {
    leave_queue(ending ? Verdict::ending : Verdict::go_on);
  }
  reply_.on_interrupt(&DeviceJob::on_interrupt, this);
  if (one_side_done_.exchange(true)) node_->context().pool.submit(*this);
}

bool DeviceJob::is_aborted() const noexcept {
  return node_->abort_count() != abort_count_;
}

void DeviceJob::leave_queue(Verdict verdict) noexcept {
  verdict_ = verdict;
  if (one_side_done_.exchange(true)) node_->context().pool.submit(*this);
}

// libfuse calls this with the request locked, and run() begins with taking that
// lock, so the job exists until this returns.
void DeviceJob::on_interrupt(fuse_req_t, void* data) noexcept {
  auto* job = static_cast<DeviceJob*>(data);
  if (!is_dying(job->sender_)) {
    job->node_->context().watch.add(*job);
    return;
  }
  job->give_up();
}

bool DeviceJob::check_sender() noexcept {
  return is_dying(sender_) && give_up();
}

// The sender is dying. A parked job goes to the pool to say so; one that is at
// work sees it before its next piece.
bool DeviceJob::give_up() noexcept {
  interrupted_ = true;
  if (gate().withdraw(*this)) {
    leave_queue(Verdict::interrupted);
  }
  return true;
}

void DeviceJob::run() noexcept {
  std::unique_ptr<DeviceJob> self(this);
  reply_.on_interrupt(nullptr, nullptr);
  node_->context().watch.forget(*this);
  answer(reply_, [&] {
    if (!proceed()) static_cast<void>(self.release());
  });
}

// False: the job is waiting again, and is not ours any more.
bool DeviceJob::proceed() {
  TreeContext& context = node_->context();
  if (room_ != nullptr) node_->waits_for_room(-1);
  room_.reset();
  if (error_ != 0) throw std::system_error(error_, std::generic_category());
  if (verdict_ == Verdict::ending || context.ending || is_aborted()) {
    throw std::system_error(Errc::device_gone);
  }
  if (verdict_ == Verdict::interrupted || interrupted_) {
    throw std::system_error(EINTR, std::generic_category());
  }
  one_side_done_ = false;
  std::optional<Admission::Pass> pass =
      node_->device().admission().enter(*this);
  if (!pass) {
    parked();
    return false;
  }
  DeviceOutcome outcome;
  try {
    outcome = carry_out_inside(*node_, request_);
  } catch (const NoRoomYet& not_now) {
    pass.reset();
    park_for_room(not_now.gate());
    return false;
  }
  pass.reset();
  if (outcome.finished) {
    send(reply_, request_, outcome);
    return true;
  }
  reply_.on_interrupt(&DeviceJob::on_interrupt, this);
  context.pool.submit(*this);
  return false;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A request on a device that outlives the call that brought it: parked in front
// of a closed gate (the device's, or that of a store which has no room for it),
// or long and carried out in pieces. It holds no thread while
// it waits. A pool thread carries it out once the gate has opened, or answers
// EINTR if its sender is being killed, or EIO if it is aborted or the mount is
// ending.
//
// Thread-safety: a job belongs to one thread at a time, except that while it is
// parked the gate (wake), the kernel (interrupt) and the signal watch may each
// try to take it out of the queue; whoever manages hands it to the pool.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "core/admission.h"
#include "fusefs/device_request.h"
#include "fusefs/reply.h"
#include "fusefs/signal_watch.h"
#include "fusefs/worker_pool.h"

namespace snapfs {

class DeviceNode;

class DeviceJob final : public Parked, public WorkItem, public Watched {
 public:
  // Carries `request` out and answers, now or later. What it throws is the
  // answer. REQUIRES: called from a thread that takes requests.
  static void start(const std::shared_ptr<DeviceNode>& node, Reply& reply,
                    DeviceRequest request);

  void wake() override { leave_queue(Verdict::go_on); }
  void run() noexcept override;
  bool check_sender() noexcept override;

 private:
  enum class Verdict { go_on, interrupted, ending };

  void own(const std::shared_ptr<DeviceNode>& node, Reply& reply,
           const DeviceRequest& request, uint64_t abort_count);
  bool is_aborted() const noexcept;
  void park_for_room(std::shared_ptr<Admission> room) noexcept;
  void parked() noexcept;
  Admission& gate() noexcept;
  void leave_queue(Verdict verdict) noexcept;
  bool give_up() noexcept;
  bool proceed();
  static void on_interrupt(fuse_req_t request, void* data) noexcept;

  std::shared_ptr<DeviceNode> node_;
  Reply reply_;
  DeviceRequest request_;
  std::vector<std::byte> data_;  // what request_.data points to
  pid_t sender_ = 0;             // a thread id
  int error_ = 0;                // the answer, if it is known already
  uint64_t abort_count_ = 0;     // the node's when the request came

  // Where it is parked; null: at the device's gate. Changes before it is parked
  // there, when nobody but its owner knows of it.
  std::shared_ptr<Admission> room_;

  // enter() may be followed by wake() before it has even returned. The job goes
  // to the pool when both have happened: it has left the queue, and its owner
  // has finished filling it in.
  std::atomic<bool> one_side_done_{false};
  std::atomic<bool> interrupted_{false};
  Verdict verdict_ = Verdict::go_on;
};

}  // namespace snapfs

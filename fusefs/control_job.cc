// SPDX-License-Identifier: MIT
#include "fusefs/control_job.h"

#include <memory>
#include <utility>

#include "core/error.h"
#include "fusefs/tree_context.h"

namespace snapfs {
namespace {

class ControlJob final : public WorkItem {
 public:
  explicit ControlJob(std::function<void(Reply&)> body)
      : body_(std::move(body)) {}

  void own(Reply& reply) { reply_ = std::move(reply); }

  void run() noexcept override {
    std::unique_ptr<ControlJob> self(this);
    answer(reply_, [&] { body_(reply_); });
  }

 private:
  const std::function<void(Reply&)> body_;
  Reply reply_;
};

}  // namespace

void run_control(TreeContext& context, Reply& reply,
                 std::function<void(Reply&)> body) {
  if (context.ending) throw std::system_error(Errc::device_gone);
  auto job = std::make_unique<ControlJob>(std::move(body));
  job->own(reply);
  context.control.submit(*job.release());
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/handover.h"

#include <cassert>
#include <utility>

namespace snapfs {

void hand_over(Snapshot& source, Snapshot& target,
               CowExceptions::Owner owner) noexcept {
  assert(&source != &target);
  // Source before destination. Nobody else ever holds two of these.
  WriterLock source_lock(source.handover_mutex_);
  WriterLock target_lock(target.handover_mutex_);
  assert(source.exceptions_ != nullptr);
  assert(target.exceptions_ == nullptr);
  source.exceptions_->set_owner(std::move(owner));
  target.exceptions_ = std::move(source.exceptions_);
}

std::unique_ptr<CowExceptions> give_up_store(
    Snapshot& source, CowExceptions::Owner owner) noexcept {
  WriterLock lock(source.handover_mutex_);
  assert(source.exceptions_ != nullptr);
  source.exceptions_->set_owner(std::move(owner));
  return std::move(source.exceptions_);
}

}  // namespace snapfs

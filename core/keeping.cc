// SPDX-License-Identifier: MIT
#include "core/keeping.h"

#include <exception>
#include <string>
#include <utility>

namespace snapfs {

Keeping::Keeping(TableKeeper* keeper, EventSink& events, KeptDevices before,
                 const KeptDevices& after, Old old)
    : keeper_(keeper), events_(events), before_(std::move(before)) {
  if (keeper_ == nullptr) return;
  if (old == Old::goes) {
    keeper_->keep(after);
  } else {
    keeper_->keep_new(after);
  }
}

Keeping::~Keeping() {
  if (!is_done_) keep(before_, "the tables as they were are not saved");
}

void Keeping::done(const KeptDevices& now) noexcept {
  is_done_ = true;
  keep(now, "tables that have been replaced are still saved");
}

void Keeping::keep(const KeptDevices& devices, const char* otherwise) noexcept {
  if (keeper_ == nullptr) return;
  try {
    keeper_->keep(devices);
  } catch (const std::exception& error) {
    events_.on_event(
        {EventKind::error, "", std::string(otherwise) + ": " + error.what()});
  }
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/family.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "core/copy_out.h"
#include "core/reverter.h"
#include "core/snapshot.h"

namespace snapfs {
namespace {

// Larger requests (zeroing) go in pieces, so that none holds others up.
constexpr uint64_t kPieceBytes = uint64_t{4} << 20;

}  // namespace

Family::Family(std::shared_ptr<BlockDevice> origin,
               std::shared_ptr<std::atomic<uint64_t>> writes)
    : origin_(std::move(origin)), writes_(std::move(writes)) {}

Family::~Family() = default;

// A revert may have begun while this waited for the gate.
Admission::Pass Family::enter_settled(ByteRange range) {
  for (;;) {
    Admission::Pass pass = gate_.enter_or_wait();
    const std::shared_ptr<Reverter> revert = reverter();
    if (revert == nullptr || revert->is_settled(range)) return pass;
    { const Admission::Pass out = std::move(pass); }
    revert->settle(range);
  }
}

void Family::write(BlockDevice& writable, const Payload& payload,
                   const Snapshot* except) {
  ByteRange left = payload.range();
  while (!left.empty()) {
    ByteRange piece{left.offset, std::min(left.length, kPieceBytes)};
    auto pass = enter_settled(piece);
    ++*writes_;
    CopyOut(*this, piece, except).run();
    note_write(piece);
    reads_.drain(piece);
    payload.slice(piece).put(writable, piece.offset);
    left = {piece.end(), left.length - piece.length};
  }
}

void Family::overwrite(const std::vector<ByteRange>& ranges,
                       const std::function<void()>& put) {
  auto pass = gate_.enter_or_wait();
  ++*writes_;
  for (const ByteRange& range : ranges) {
    CopyOut(*this, range, nullptr).run();
    note_write(range);
    reads_.drain(range);
  }
  put();
}

std::shared_ptr<Reverter> Family::reverter() const {
  if (!is_reverting_) return nullptr;
  MutexLock lock(reverter_mutex_);
  return reverter_;
}

void Family::set_reverter(std::shared_ptr<Reverter> reverter) {
  MutexLock lock(reverter_mutex_);
  is_reverting_ = reverter != nullptr;
  std::swap(reverter_, reverter);
}

// A snapshot that is valid here has saved all of the range, and will have it
// recorded if it becomes invalid later.
void Family::note_write(ByteRange range) noexcept {
  for (Snapshot* snapshot : members_) {
    CowExceptions& exceptions = snapshot->exceptions();
    if (exceptions.state() == SnapshotState::invalid) {
      exceptions.note_origin_write(range);
    }
  }
  for (const auto& written : watchers_) written->add(range);
}

bool Family::has_valid_snapshots() {
  auto pass = gate_.enter_or_wait();
  return std::any_of(members_.begin(), members_.end(), [](Snapshot* snapshot) {
    return snapshot->exceptions().state() != SnapshotState::invalid;
  });
}

void Family::add(Snapshot& snapshot) {
  auto smaller = [&](const Snapshot* member) {
    return member->exceptions().chunk_size().bytes() <
           snapshot.exceptions().chunk_size().bytes();
  };
  members_.insert(std::find_if(members_.begin(), members_.end(), smaller),
                  &snapshot);
}

void Family::replace(Snapshot& source, Snapshot& target) noexcept {
  std::replace(members_.begin(), members_.end(), &source, &target);
}

void Family::remove(Snapshot& snapshot) { std::erase(members_, &snapshot); }

void Family::watch(std::shared_ptr<WrittenRanges> written) {
  watchers_.push_back(std::move(written));
}

// Two of them may share one.
void Family::unwatch(const std::shared_ptr<WrittenRanges>& written) noexcept {
  auto found = std::find(watchers_.begin(), watchers_.end(), written);
  if (found != watchers_.end()) watchers_.erase(found);
}

}  // namespace snapfs

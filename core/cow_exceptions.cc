// SPDX-License-Identifier: MIT
#include "core/cow_exceptions.h"

#include <cerrno>
#include <new>

#include "core/error.h"

namespace snapfs {
namespace {

// An error of the store that may be over soon, and has lost nothing.
bool is_passing(const std::exception& error) {
  const auto* known = dynamic_cast<const std::system_error*>(&error);
  return errno_of(error) == ENOSPC ||
         (known != nullptr && known->code() == Errc::cow_shrunk);
}

}  // namespace

CowExceptions::CowExceptions(std::shared_ptr<BlockDevice> cow,
                             std::unique_ptr<ExceptionStore> store,
                             ExceptionTable table, bool is_marked_invalid,
                             Owner owner, CommitTimer& timer, EventSink& events)
    : cow_(std::move(cow)),
      store_(std::move(store)),
      written_(is_marked_invalid ? nullptr : std::make_shared<WrittenRanges>()),
      timer_(timer),
      events_(events),
      space_(*cow_, *store_, timer, events),
      invalid_settled_(is_marked_invalid),
      state_(is_marked_invalid ? SnapshotState::invalid
                               : SnapshotState::active),
      table_(std::move(table)),
      owner_(std::move(owner)) {
  if (is_marked_invalid) reason_ = "Snapshot is marked invalid";
  space_.set_policy(owner_.name, owner_.space);
  if (store_->revert_marks() != nullptr) set_reverting(true);
}

CowExceptions::~CowExceptions() { timer_.forget(*this); }

StoreType CowExceptions::type() const {
  MutexLock lock(owner_mutex_);
  return owner_.type;
}

std::string CowExceptions::owner_name() const {
  MutexLock lock(owner_mutex_);
  return owner_.name;
}

CommitTimer::Clock::duration CowExceptions::commit_interval() const {
  MutexLock lock(owner_mutex_);
  return owner_.commit_interval;
}

void CowExceptions::set_owner(Owner owner) {
  space_.set_policy(owner.name, std::move(owner.space));
  MutexLock lock(owner_mutex_);
  owner_ = std::move(owner);
}

std::string CowExceptions::reason() const {
  MutexLock lock(reason_mutex_);
  return reason_;
}

void CowExceptions::set_reason(const std::string& reason) {
  MutexLock lock(reason_mutex_);
  reason_ = reason;
}

uint64_t CowExceptions::exception_count() const {
  ReaderLock lock(table_mutex_);
  return table_.size();
}

std::size_t CowExceptions::memory_bytes() const {
  ReaderLock lock(table_mutex_);
  return table_.memory_bytes();
}

void CowExceptions::require_readable() const {
  if (state() == SnapshotState::invalid) {
    throw std::system_error(Errc::snapshot_invalid, owner_name());
  }
}

void CowExceptions::require_writable() const {
  require_readable();
  if (state() == SnapshotState::overflowed) {
    throw std::system_error(Errc::snapshot_overflowed, owner_name());
  }
}

ExceptionTable::Stretch CowExceptions::stretch_at(uint64_t chunk,
                                                  uint64_t limit) const {
  ReaderLock lock(table_mutex_);
  require_readable();
  return table_.find(chunk, limit);
}

bool CowExceptions::has_shrunk() {
  const StoreUsage now = usage();
  const bool has_shrunk = now.total < now.allocated;
  if (has_shrunk_.exchange(has_shrunk) == has_shrunk) return has_shrunk;
  events_.on_event(
      {has_shrunk ? EventKind::error : EventKind::grow, owner_name(),
       cow_->name() + " has " + std::to_string(now.total) + " sectors, " +
           std::to_string(now.allocated) + " are in use" +
           (has_shrunk ? ": nothing new is written until it is as long again"
                       : "")});
  return has_shrunk;
}

void CowExceptions::require_full_length() {
  if (has_shrunk()) throw std::system_error(Errc::cow_shrunk, cow_->name());
}

bool CowExceptions::make_room(uint64_t count) {
  require_full_length();
  space_.make_room(count);
  return store_->has_room(count);
}

std::optional<CowExceptions::Place> CowExceptions::reserve(uint64_t count) {
  require_full_length();
  space_.make_room(count);
  auto reservation = store_->reserve(count);
  if (!reservation) return std::nullopt;
  Place place(this, std::move(*reservation));
  space_.note_usage();
  return place;
}

void CowExceptions::Place::hand_in(std::vector<ExceptionRun> runs) noexcept {
  CowExceptions& owner = *std::exchange(owner_, nullptr);
  uint64_t count = 0;
  for (const ExceptionRun& run : runs) count += run.count;
  owner.space_.found_room(count);
  owner.store_->hand_in(reservation_, std::move(runs));
  try {
    if (owner.store_->has_uncommitted()) {
      owner.timer_.arm(owner, owner.commit_interval());
    }
  } catch (const std::bad_alloc&) {
    // The record waits for the next flush, or for the timer of a later one.
  }
}

bool CowExceptions::publish(const std::vector<ExceptionRun>& runs) {
  try {
    return try_publish(runs);
  } catch (const std::bad_alloc&) {
    invalidate("Unable to allocate exception: out of memory");
    return false;
  }
}

bool CowExceptions::try_publish(const std::vector<ExceptionRun>& runs) {
  WriterLock lock(table_mutex_);
  if (state() == SnapshotState::invalid) return false;
  try {
    for (const ExceptionRun& run : runs) table_.insert(run);
  } catch (const std::bad_alloc&) {
    state_ = SnapshotState::invalid;
    throw;
  }
  return true;
}

template <typename Commit>
void CowExceptions::invalidate_if_it_fails(const Commit& commit) {
  try {
    commit();
  } catch (const std::exception& error) {
    if (is_passing(error)) throw;
    invalidate(std::string("Error reading/writing: ") + error.what());
    throw;
  }
}

void CowExceptions::commit() {
  invalidate_if_it_fails([&] { store_->commit(); });
}

void CowExceptions::commit_through(uint64_t new_chunk) {
  invalidate_if_it_fails([&] { store_->commit_through(new_chunk); });
}

void CowExceptions::commit_pending() noexcept {
  try {
    if (store_->has_uncommitted()) commit();
  } catch (const std::exception&) {
    // commit() has made the snapshot invalid and said why; the store throws the
    // error again at the next flush.
  }
}

std::vector<ExceptionRun> CowExceptions::last_recorded(
    const ExceptionStore::MergeLimit& limit) {
  if (store_->has_uncommitted()) store_->commit();
  std::vector<ExceptionRun> runs = store_->last_recorded(limit);
  WriterLock lock(table_mutex_);
  for (const ExceptionRun& run : runs) {
    ExceptionTable::Stretch found = table_.find(run.old_chunk, run.count);
    if (!found.excepted || found.count != run.count ||
        found.new_chunk != run.new_chunk) {
      throw std::system_error(
          Errc::bad_metadata,
          cow_->name() + ": Corruption detected: exception for block " +
              std::to_string(run.old_chunk) + " is on disk but not in memory");
    }
    table_.split_before(run.old_chunk);
  }
  return runs;
}

void CowExceptions::forget(const std::vector<ExceptionRun>& runs) noexcept {
  WriterLock lock(table_mutex_);
  for (const ExceptionRun& run : runs) {
    table_.erase({run.old_chunk, run.count});
  }
}

void CowExceptions::set_reverting(bool is_reverting) {
  is_reverting_ = is_reverting;
  space_.set_keeps_valid(is_reverting);
}

void CowExceptions::begin_revert(uint64_t length) {
  commit();
  make_room(store_->revert_chunks());
  store_->begin_revert(length, exception_count());
  set_reverting(true);
}

void CowExceptions::end_revert() {
  store_->end_revert();
  set_reverting(false);
}

void CowExceptions::invalidate(const std::string& reason) {
  MutexLock lock(invalidate_mutex_);
  if (invalid_settled_) return;
  if (is_reverting_) {
    throw std::system_error(
        EIO, std::generic_category(),
        owner_name() + " must not be lost while its origin is reverted to it" +
            (reason.empty() ? "" : ": " + reason));
  }
  {
    WriterLock table_lock(table_mutex_);
    state_ = SnapshotState::invalid;
  }
  set_reason(reason);
  std::string text = reason;
  try {
    store_->invalidate();
  } catch (const std::exception& error) {
    unrecorded_ = true;
    text += "; invalid, not recorded on the COW: ";
    text += error.what();
  }
  invalid_settled_ = true;
  events_.on_event({EventKind::invalid, owner_name(), text});
  space_.wake();
}

void CowExceptions::store_is_full(uint64_t count, StoreSpace::Need need) {
  const bool is_refused =
      space_.no_room(count, need) == StoreSpace::Outcome::refuse;
  if (is_refused && type() != StoreType::persistent_overflow) return;
  const std::string reason = "Unable to allocate exception: the store is full";
  if (type() != StoreType::persistent_overflow) {
    invalidate(reason);
    return;
  }
  {
    WriterLock lock(table_mutex_);
    if (state() != SnapshotState::active) return;
    state_ = SnapshotState::overflowed;
  }
  set_reason(reason);
  events_.on_event({EventKind::overflow, owner_name(), reason});
  space_.wake();
}

bool CowExceptions::clear_overflow() {
  if (state() != SnapshotState::overflowed) return true;
  if (!make_room(1)) return false;
  {
    WriterLock lock(table_mutex_);
    if (state() != SnapshotState::overflowed) return true;
    state_ = SnapshotState::active;
  }
  set_reason("");
  events_.on_event(
      {EventKind::resume, owner_name(), "has room again, and is written to"});
  return true;
}

}  // namespace snapfs

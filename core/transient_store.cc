// SPDX-License-Identifier: MIT
#include "core/transient_store.h"

#include "core/exception_table.h"

namespace snapfs {

StoreUsage TransientStore::usage() const {
  MutexLock lock(mutex_);
  return {next_free_ * chunk_size_.sectors(), cow_->size() >> kSectorShift, 0};
}

bool TransientStore::fits(uint64_t count) const {
  uint64_t chunks = chunk_size_.chunk_of(cow_->size());
  chunks = std::min(chunks, ExceptionTable::kMaxNewChunk);
  return next_free_ <= chunks && count <= chunks - next_free_;
}

bool TransientStore::has_room(uint64_t count) const {
  MutexLock lock(mutex_);
  return fits(count);
}

std::optional<Reservation> TransientStore::reserve(uint64_t count) {
  MutexLock lock(mutex_);
  if (!fits(count)) return std::nullopt;
  Reservation reservation{0, {{next_free_, count}}};
  next_free_ += count;
  return reservation;
}

// What was handed out last is free again.
void TransientStore::abandon(const Reservation& reservation) noexcept {
  MutexLock lock(mutex_);
  const ChunkRange& chunks = reservation.new_chunks.front();
  if (chunks.end() == next_free_) next_free_ = chunks.first;
}

}  // namespace snapfs

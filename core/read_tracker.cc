// SPDX-License-Identifier: MIT
#include "core/read_tracker.h"

namespace snapfs {

std::list<ReadTracker::Read>::iterator ReadTracker::begin(ByteRange range) {
  MutexLock lock(mutex_);
  return reads_.insert(reads_.end(), {next_sequence_++, range});
}

void ReadTracker::end(std::list<Read>::iterator place) {
  MutexLock lock(mutex_);
  reads_.erase(place);
  if (waiting_ != 0) ended_.notify_all();
}

void ReadTracker::drain(ByteRange range) {
  MutexLock lock(mutex_);
  uint64_t now = next_sequence_;
  ++waiting_;
  while (reads_before(now, range)) ended_.wait(mutex_);
  --waiting_;
}

bool ReadTracker::reads_before(uint64_t sequence, ByteRange range) const {
  for (const Read& read : reads_) {
    if (read.sequence >= sequence) break;
    if (read.range.overlaps(range)) return true;
  }
  return false;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// Reads that snapshots are doing on their origin right now. Before the origin
// is overwritten, those that began earlier are waited for: they must still see
// the old data. Thread-safe.
#pragma once

#include <cstdint>
#include <list>

#include "core/chunk.h"
#include "core/mutex.h"

namespace snapfs {

class ReadTracker {
 private:
  struct Read {
    uint64_t sequence;
    ByteRange range;
  };

 public:
  // A read in flight, for as long as this lives.
  class [[nodiscard]] Ticket {
   public:
    Ticket(ReadTracker& tracker, ByteRange range)
        : tracker_(tracker), place_(tracker.begin(range)) {}
    ~Ticket() { tracker_.end(place_); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

   private:
    friend class ReadTracker;
    ReadTracker& tracker_;
    std::list<Read>::iterator place_;
  };

  // Waits for the reads of `range` that began before this call, and for no
  // others: readers that keep coming do not hold a writer up.
  void drain(ByteRange range) EXCLUDES(mutex_);

 private:
  std::list<Read>::iterator begin(ByteRange range) EXCLUDES(mutex_);
  void end(std::list<Read>::iterator place) EXCLUDES(mutex_);
  bool reads_before(uint64_t sequence, ByteRange range) const REQUIRES(mutex_);

  Mutex mutex_;
  CondVar ended_;
  std::list<Read> reads_ GUARDED_BY(mutex_);  // in the order they began
  uint64_t next_sequence_ GUARDED_BY(mutex_) = 0;
  unsigned waiting_ GUARDED_BY(mutex_) = 0;
};

}  // namespace snapfs

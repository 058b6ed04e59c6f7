// SPDX-License-Identifier: MIT
//
// Where the chunks of a COW device go, and what is kept there about them. A
// store knows nothing of the table; it is told which exceptions to record.
// Implementations are thread-safe.
//
// Life of an exception: reserve() a place, copy the data there, hand_in() the
// mapping (or abandon() it), commit() when somebody needs it to be durable.
// Between reserve() and hand_in() a thread does device I/O and nothing else:
// commits go in the order of reservation, so others may be waiting for it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/chunk.h"
#include "core/exception.h"
#include "core/revert_marks.h"

namespace snapfs {

// Chunks of the COW device that belong to one request, not yet recorded.
struct Reservation {
  uint64_t ticket = 0;
  std::vector<ChunkRange> new_chunks;  // ascending
};

// The chunks of `old_chunks`, one after the other, paired with those of the
// reservation. REQUIRES: as many of one as of the other.
std::vector<ExceptionRun> pair_up(const std::vector<ChunkRange>& old_chunks,
                                  const Reservation& reservation);

// In sectors, as `dmsetup status` shows it.
struct StoreUsage {
  uint64_t allocated = 0;
  uint64_t total = 0;
  uint64_t metadata = 0;
};

class ExceptionStore {
 public:
  virtual ~ExceptionStore() = default;

  virtual ChunkSize chunk_size() const = 0;
  virtual StoreUsage usage() const = 0;

  // `count` chunks, all or nothing. Nothing: the device has no room for them.
  virtual std::optional<Reservation> reserve(uint64_t count) = 0;

  // Would reserve() succeed now?
  virtual bool has_room(uint64_t count) const = 0;

  // The data is in place (written, not necessarily durable): record `runs`.
  // They must use exactly the chunks of the reservation, in their order.
  virtual void hand_in(const Reservation& reservation,
                       std::vector<ExceptionRun> runs) noexcept = 0;

  // The copy failed: nothing will be recorded. The chunks are free again if
  // they were the last that were reserved; others stay unused.
  virtual void abandon(const Reservation& reservation) noexcept = 0;

  // Makes everything durable that had been handed in, and every write to the
  // COW device that had returned, before the call. Callers that arrive while
  // another commit is under way share the next one. An error
  // (std::system_error) is final, so that every later commit throws it again;
  // but for ENOSPC and Errc::cow_shrunk, after which the next one tries again.
  virtual void commit() = 0;

  // Makes the records of all exceptions durable that lie in `new_chunk` or
  // below. Unlike commit() this says nothing of other writes, so it is done
  // with the first commit that has taken those records, even one that began
  // before the call. REQUIRES: they have been handed in. Errors as commit().
  virtual void commit_through(uint64_t new_chunk) = 0;

  // Has the record of the exception that lies in `new_chunk` been committed?
  // REQUIRES: it has been handed in, or was loaded.
  virtual bool is_durable(uint64_t new_chunk) const = 0;

  // Is there anything for commit() to record?
  virtual bool has_uncommitted() const = 0;

  // A merge takes exceptions from the end of what is recorded. Can it?
  virtual bool is_mergeable() const { return false; }

  // For the following REQUIRES: is_mergeable(), everything is committed, and
  // nothing is reserved meanwhile. They throw as commit() does, but what they
  // throw is not final: they may be called again.

  // The exceptions recorded last, at most so many chunks in so many runs (a
  // store may give fewer), last first. None: all have been taken.
  struct MergeLimit {
    uint64_t chunks = 1;
    uint64_t runs = 1;
  };
  virtual std::vector<ExceptionRun> last_recorded(const MergeLimit& limit);

  // Takes the last `count` records away, durably. REQUIRES: last_recorded()
  // has just given as many.
  virtual void unrecord(uint64_t count);

  // A revert copies all exceptions that there are now back into the origin, and
  // leaves them here; see Reverter. Can it?
  virtual bool is_revertible() const { return false; }

  // For the following REQUIRES: is_revertible(). They throw std::system_error,
  // and may be called again then.

  // Chunks that begin_revert() needs.
  virtual uint64_t revert_chunks() const { return 0; }

  // Notes durably that a revert is under way, of the first `length` bytes, with
  // no chunk marked as done. From here until end_revert() there are marks, also
  // after a load in between. Throws if that is refused: then there is no note.
  // If that could not be made sure, there are marks, and has_revert_note() is
  // false: note_revert() tries again. REQUIRES: all is committed, and nothing
  // is reserved meanwhile.
  virtual void begin_revert(uint64_t length, uint64_t exceptions);
  virtual bool has_revert_note() const { return false; }
  virtual void note_revert() {}

  // Null: there is no revert.
  virtual std::shared_ptr<const RevertMarks> revert_marks() const {
    return nullptr;
  }

  // Durable on return. REQUIRES: the origin has these chunks, durably.
  virtual void mark_reverted(const std::vector<ExceptionRun>& runs);

  // Takes the note away, durably, and then the marks.
  virtual void end_revert() {}

  // Marks the store as invalid for good, durably; nothing is recorded from now
  // on. Throws if that could not be written.
  virtual void invalidate() = 0;
};

}  // namespace snapfs

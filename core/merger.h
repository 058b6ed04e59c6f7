// SPDX-License-Identifier: MIT
//
// Copies a snapshot's exceptions back into its origin, in steps, and tells
// writers where their chunks are meanwhile. A step takes the exceptions that
// were recorded last, for a log can be shortened at its end alone:
//
//   other snapshots save the old content, durably
//   -> writers of these chunks are held back, those inside are waited for
//   -> copy from the COW to the origin -> flush the origin
//   -> clear the records, durably -> forget the exceptions in memory
//   -> writers go on, on the origin
//
// A power cut before the records are cleared leaves them, and the step is done
// again; after that the origin has the content. An error leaves the exceptions
// where they were: requests go on as before, and so can the merge.
//
// step() is for one thread at a time; everything else is thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/background_copy.h"
#include "core/block_device.h"
#include "core/cow_exceptions.h"
#include "core/durable_writes.h"
#include "core/family.h"
#include "core/mutex.h"
#include "core/read_tracker.h"

namespace snapfs {

class Merger : public BackgroundCopy {
 public:
  // In chunks. A merge that goes on after a mount counts from there.
  struct Progress {
    uint64_t total = 0;
    uint64_t merged = 0;
  };

  // `origin` is the family's origin device, opened for writing.
  Merger(std::shared_ptr<Family> family, std::shared_ptr<BlockDevice> origin,
         ChunkSize chunk_size)
      : family_(std::move(family)),
        origin_(std::move(origin)),
        chunk_size_(chunk_size) {}

  // What is to be merged; once, before anything else. REQUIRES: chunks of the
  // size given before; no snapshot of the family owns it.
  void take(std::unique_ptr<CowExceptions> exceptions) noexcept;

  // See BackgroundCopy. failure() says what it throws, until a step succeeds.
  uint64_t step(const StepLimit& limit) override EXCLUDES(mutex_);
  uint64_t step() { return step(StepLimit()); }

  CowExceptions& exceptions() const { return *exceptions_; }
  Progress progress() const;
  bool is_finished() const { return is_finished_.load(); }

  // Why the last step failed; empty: it did not.
  std::string failure() const EXCLUDES(mutex_);
  void forget_failure() override EXCLUDES(mutex_);

  // A request on chunks of one kind, the first of its range.
  struct Part {
    enum class Place {
      origin,  // no exception, or merged
      cow,
      both,  // on the COW, and perhaps already merged as far as a crash is
             // concerned: clearing its record failed
    };
    Place place = Place::origin;
    ByteRange range;
    uint64_t cow_offset = 0;
  };

  // Where `range` begins. A read may go there at any time later: what is on the
  // COW stays there.
  Part place_to_read(ByteRange range) const;

  // The same for a write. While the ticket of a write to the COW lives, its
  // chunks are not merged; it is not held while anything but the COW is waited
  // for. Waits while the first chunk is being merged.
  using Ticket = std::optional<ReadTracker::Ticket>;
  Part place_to_write(ByteRange range, Ticket& ticket) EXCLUDES(mutex_);

  // Makes everything durable that was written to either device. Also throws
  // what a flush by a step has met: it concerned such writes, too. See
  // DurableWrites.
  void flush();

  // The merge is to go on after a failure.
  void forgive();

 private:
  struct Batch {
    std::vector<ExceptionRun> runs;
    uint64_t chunks = 0;
  };
  class Hold;

  uint64_t try_step(const StepLimit& limit);
  Batch take_last(const StepLimit& limit);
  void copy(const Batch& batch);
  void copy(const ExceptionRun& run);
  void clear(const Batch& batch) EXCLUDES(mutex_);
  std::vector<ByteRange> origin_ranges(const Batch& batch) const;
  Part first_part(ByteRange range, const ExceptionTable::Stretch& found) const;
  bool narrow_to_mergeable(ChunkRange& chunks, Part::Place& place) const
      REQUIRES(mutex_);

  const std::shared_ptr<Family> family_;
  const std::shared_ptr<BlockDevice> origin_;
  const ChunkSize chunk_size_;
  std::unique_ptr<CowExceptions> exceptions_;
  uint64_t total_ = 0;
  std::atomic<bool> is_finished_{false};

  // Writes to the COW that are under way.
  ReadTracker cow_writes_;
  DurableWrites cow_durable_writes_;

  mutable Mutex mutex_;
  CondVar step_ended_;
  // Chunks of the origin that the present step has taken.
  std::vector<ChunkRange> merging_ GUARDED_BY(mutex_);
  // Those of a step that has copied them, but failed to clear their records:
  // after a crash they may be read from either device.
  std::vector<ChunkRange> in_doubt_ GUARDED_BY(mutex_);
  std::string failure_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

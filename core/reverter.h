// SPDX-License-Identifier: MIT
//
// Brings an origin back to what one of its snapshots shows, in steps, and tells
// who reads or writes where chunks are meanwhile. The snapshot keeps its
// exceptions, and stays a member of the family. What is to be copied back, the
// COW's note and marks say (FORMAT.md). From the beginning on both show the
// same:
//
//   a chunk with an exception that is not done   the origin reads it on the COW
//   all others                                   the origin has them
//
// A step, in the background or by a writer, of the origin or of the snapshot,
// who needs chunks to be done:
//
//   other snapshots save the old content, durably
//   -> copy from the COW to the origin -> flush the origin
//   -> mark the chunks as done, durably -> readers of these on the COW end
//   -> the writer goes on
//
// After a power cut what is not marked is copied again, so nobody may have
// written to it. Thread-safe, but for step().
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/background_copy.h"
#include "core/block_device.h"
#include "core/cow_exceptions.h"
#include "core/mutex.h"
#include "core/read_tracker.h"
#include "core/revert_marks.h"

namespace snapfs {

class Family;

class Reverter : public BackgroundCopy {
 public:
  // In chunks. A revert that goes on after a mount counts from there.
  struct Progress {
    uint64_t total = 0;
    uint64_t reverted = 0;
  };

  // `origin` is the family's origin device, opened for writing; `exceptions`
  // has marks. All but the last must outlive this.
  Reverter(Family& family, CowExceptions& exceptions,
           std::shared_ptr<BlockDevice> origin);

  // The snapshot's.
  const CowExceptions& exceptions() const { return exceptions_; }
  std::string snapshot_name() const { return exceptions_.owner_name(); }

  // See BackgroundCopy. When it has finished, the note is gone.
  uint64_t step(const StepLimit& limit) override EXCLUDES(mutex_);
  uint64_t step() { return step(StepLimit()); }

  Progress progress() const;
  bool is_finished() const { return is_finished_.load(); }
  // Why the last step failed; empty: it did not.
  std::string failure() const EXCLUDES(mutex_);
  void forget_failure() override EXCLUDES(mutex_);

  // Shown in the origin's status: bytes a second, 0 for no limit; suspended or
  // not.
  void show_rate(uint64_t rate) { rate_ = rate; }
  void show_paused(bool paused) { is_paused_ = paused; }
  std::string details() const EXCLUDES(mutex_);

  // As the origin shows it, which is read through `device`.
  void read(BlockDevice& device, uint64_t offset, std::span<std::byte> into);
  BlockDevice::Extent extent_at(BlockDevice& device, ByteRange range);

  // Is every chunk of `range` done, or none of the revert's? It stays so.
  bool is_settled(ByteRange range) const;
  // Makes it so. Throws what a step does. REQUIRES: the caller holds no pass of
  // the family's gate, and no chunks.
  void settle(ByteRange range);

 private:
  // Steps come one after another, in the order in which they were asked for.
  class Turn;
  struct Piece;

  template <typename Visit>
  void look_up(ByteRange range, const Visit& visit) const;
  std::vector<Piece> pieces_of(ByteRange range) const;
  std::vector<ExceptionRun> find_undone(ByteRange range,
                                        const StepLimit& limit) const;
  uint64_t try_step(const StepLimit& limit);
  void revert(const std::vector<ExceptionRun>& runs);
  void copy(const ExceptionRun& run);
  ByteRange origin_range(const ExceptionRun& run) const;
  ByteRange clipped(ByteRange range) const;
  const char* phase() const EXCLUDES(mutex_);

  Family& family_;
  CowExceptions& exceptions_;
  const std::shared_ptr<BlockDevice> origin_;
  const ChunkSize chunk_size_;
  const std::shared_ptr<const RevertMarks> marks_;
  std::atomic<bool> is_finished_{false};
  std::atomic<uint64_t> rate_{0};
  std::atomic<bool> is_paused_{false};

  // Reads of the origin that go to the COW.
  ReadTracker cow_reads_;

  // Behind what the background has done; its alone.
  uint64_t next_chunk_ = 0;

  mutable Mutex mutex_;
  CondVar turn_ended_;
  uint64_t next_turn_ GUARDED_BY(mutex_) = 0;
  uint64_t present_turn_ GUARDED_BY(mutex_) = 0;
  std::string failure_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

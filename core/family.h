// SPDX-License-Identifier: MIT
//
// An origin device with every snapshot on it. Each write to the origin passes
// here, so that no snapshot loses the old content. Thread-safe.
//
// Lock order: the family's gate, then chunk ranges snapshot by snapshot in the
// order of the list, then what a CowExceptions locks inside one call.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/admission.h"
#include "core/block_device.h"
#include "core/durable_writes.h"
#include "core/mutex.h"
#include "core/payload.h"
#include "core/read_tracker.h"
#include "core/written_ranges.h"

namespace snapfs {

class Reverter;
class Snapshot;

class Family {
 public:
  // `writes` counts the writes to this origin; it may outlive the family.
  Family(std::shared_ptr<BlockDevice> origin,
         std::shared_ptr<std::atomic<uint64_t>> writes);
  ~Family();

  // The origin as snapshots read it.
  BlockDevice& origin() { return *origin_; }

  // Reads of snapshots on the origin.
  ReadTracker& reads() { return reads_; }

  // Writes to the origin, after every snapshot but `except` (may be null) has
  // saved the old content, durably. A snapshot that cannot is invalid, durably,
  // before the origin changes; the write goes on, unless one of them has a
  // table that says otherwise: see CopyOut::run(). What a revert has yet to
  // copy there is copied first. `writable` is the origin device, opened for
  // writing. Throws if the origin cannot be written.
  void write(BlockDevice& writable, const Payload& payload,
             const Snapshot* except);

  // The same for a merge or a revert: `put` overwrites `ranges`, all of them,
  // when the old content has been saved.
  void overwrite(const std::vector<ByteRange>& ranges,
                 const std::function<void()>& put);

  // Whoever wants to know that what is on the origin is durable asks here.
  DurableWrites& durable_writes() { return durable_writes_; }

  // The revert of this origin that is under way; null: none. Changes from null
  // only while no write is inside: the gate, and those of the devices, are
  // closed and drained.
  std::shared_ptr<Reverter> reverter() const EXCLUDES(reverter_mutex_);
  void set_reverter(std::shared_ptr<Reverter> reverter)
      EXCLUDES(reverter_mutex_);

  // Does a snapshot that is not invalid exist?
  bool has_valid_snapshots();

  // Every write holds a pass of this gate. Members change only while it is
  // closed and drained.
  Admission& gate() { return gate_; }
  void add(Snapshot& snapshot);
  void remove(Snapshot& snapshot);
  // The store of `source` has gone to `target`.
  void replace(Snapshot& source, Snapshot& target) noexcept;

  // From here on every write is noted there before it changes the origin, as
  // it is for each member that is invalid. Changes as members do.
  void watch(std::shared_ptr<WrittenRanges> written);
  void unwatch(const std::shared_ptr<WrittenRanges>& written) noexcept;

 private:
  friend class CopyOut;

  Admission::Pass enter_settled(ByteRange range);
  void note_write(ByteRange range) noexcept;

  const std::shared_ptr<BlockDevice> origin_;
  ReadTracker reads_;
  DurableWrites durable_writes_;
  Admission gate_;
  std::vector<Snapshot*> members_;  // largest chunk size first
  std::vector<std::shared_ptr<WrittenRanges>> watchers_;
  const std::shared_ptr<std::atomic<uint64_t>> writes_;

  std::atomic<bool> is_reverting_{false};
  mutable Mutex reverter_mutex_;
  std::shared_ptr<Reverter> reverter_ GUARDED_BY(reverter_mutex_);
};

}  // namespace snapfs

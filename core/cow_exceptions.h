// SPDX-License-Identifier: MIT
//
// All that belongs to one COW device in use: the exceptions in memory, the
// store that keeps them on the device, and whether they can still be trusted.
// Exactly one snapshot owns it at any moment; handing a store over is moving
// this object. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/block_device.h"
#include "core/commit_timer.h"
#include "core/events.h"
#include "core/exception_store.h"
#include "core/exception_table.h"
#include "core/mutex.h"
#include "core/range_lock.h"
#include "core/store_space.h"
#include "core/table.h"
#include "core/written_ranges.h"

namespace snapfs {

//             snapshot read  snapshot write  origin write    on the COW
// active      yes            yes             copies out      valid = 1
// overflowed  yes            EIO             copies out (*)  valid = 1
// invalid     EIO            EIO             passes by       valid = 0, durable
//                                                            before the origin
//                                                            write goes on
// (*) and makes the snapshot invalid if there is no room for the copy.
enum class SnapshotState { active, overflowed, invalid };

class CowExceptions : private Committable {
 public:
  // What the table that owns the store decides.
  struct Owner {
    std::string name;  // of the device, for events
    StoreType type = StoreType::persistent;
    std::chrono::milliseconds commit_interval{5000};
    SpacePolicy space{};
  };

  CowExceptions(std::shared_ptr<BlockDevice> cow,
                std::unique_ptr<ExceptionStore> store, ExceptionTable table,
                bool is_marked_invalid, Owner owner, CommitTimer& timer,
                EventSink& events);
  ~CowExceptions() override;

  BlockDevice& cow() { return *cow_; }
  ChunkSize chunk_size() const { return store_->chunk_size(); }
  StoreType type() const EXCLUDES(owner_mutex_);
  std::string owner_name() const EXCLUDES(owner_mutex_);
  StoreUsage usage() const { return store_->usage(); }
  SnapshotState state() const { return state_.load(); }

  // The store goes to another table. REQUIRES: the one it belonged to is
  // frozen.
  void set_owner(Owner owner) EXCLUDES(owner_mutex_);

  // How long the origin was, in bytes, when chunks of this store were first
  // copied from it. Changes only while no request is inside.
  uint64_t origin_size() const { return origin_size_; }
  void set_origin_size(uint64_t bytes) { origin_size_ = bytes; }

  // Why it is invalid or has overflowed; empty while active.
  std::string reason() const EXCLUDES(reason_mutex_);

  // The header could not be marked: what is on the COW still looks valid.
  bool is_unrecorded_invalid() const { return unrecorded_.load(); }

  uint64_t exception_count() const EXCLUDES(table_mutex_);
  std::size_t memory_bytes() const EXCLUDES(table_mutex_);

  // Throws Errc::snapshot_invalid, or, for a write, Errc::snapshot_overflowed.
  void require_readable() const;
  void require_writable() const;

  // Calls visit(chunk, stretch) for the stretches of `chunks`, in order, with
  // the table locked for reading: it must not block. Throws like
  // require_readable().
  template <typename Visit>
  void look_up(ChunkRange chunks, const Visit& visit) const
      EXCLUDES(table_mutex_) {
    ReaderLock lock(table_mutex_);
    require_readable();
    visit_stretches(chunks, visit);
  }

  // The first of those stretches. Throws like require_readable().
  ExceptionTable::Stretch stretch_at(uint64_t chunk, uint64_t limit) const
      EXCLUDES(table_mutex_);

  // Nobody else copies these chunks meanwhile.
  RangeLock::Hold lock_chunks(ChunkRange chunks) {
    return copying_.lock(chunks);
  }

  // Chunks of the COW that a thread copies to. Handed in once, or else
  // abandoned when this is destroyed: what stayed open would hold up every
  // commit from then on.
  class [[nodiscard]] Place {
   public:
    Place(Place&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          reservation_(std::move(other.reservation_)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(reservation_, other.reservation_);
      return *this;
    }
    ~Place() {
      if (owner_ != nullptr) owner_->store_->abandon(reservation_);
    }

    const Reservation& reservation() const { return reservation_; }

    // The copied data is there: records `runs` (volatile until a commit). What
    // is handed in must be published.
    void hand_in(std::vector<ExceptionRun> runs) noexcept;

   private:
    friend class CowExceptions;
    Place(CowExceptions* owner, Reservation reservation)
        : owner_(owner), reservation_(std::move(reservation)) {}

    CowExceptions* owner_;
    Reservation reservation_;
  };

  // Nothing: there is no room, though the device was extended if the table
  // says so. Throws Errc::cow_shrunk.
  std::optional<Place> reserve(uint64_t count);
  bool has_room(uint64_t count) const { return store_->has_room(count); }
  // The same, if the device can be extended meanwhile.
  bool make_room(uint64_t count);

  // The device is shorter than what is in use of it: what lies behind its end
  // cannot be read, nothing is reserved or committed, and nothing is given up.
  bool has_shrunk();

  // What the table says about it; see StoreSpace.
  StoreSpace& space() { return space_; }
  const StoreSpace& space() const { return space_; }

  // From now on reads of these chunks go to the COW. False: invalid meanwhile,
  // or for want of memory: the same record would be made again, and a store
  // that has it twice does not load.
  bool publish(const std::vector<ExceptionRun>& runs)
      EXCLUDES(table_mutex_, invalidate_mutex_);

  // Calls visit(stretch) for the first stretch of `chunks`, as look_up() does.
  template <typename Visit>
  void look_at_first(ChunkRange chunks, const Visit& visit) const
      EXCLUDES(table_mutex_) {
    ReaderLock lock(table_mutex_);
    require_readable();
    visit(table_.find(chunks.first, chunks.count));
  }

  bool is_durable(uint64_t new_chunk) const {
    return store_->is_durable(new_chunk);
  }

  // Makes everything durable; see ExceptionStore::commit(). A failure that is
  // final makes the snapshot invalid; each is thrown.
  void commit();

  // See ExceptionStore::commit_through(); a failure as with commit().
  void commit_through(uint64_t new_chunk);

  // What a merge needs, which alone may write meanwhile; see Merger. These
  // throw, and leave everything as it was, so that they can be tried again; a
  // merge makes no snapshot invalid.
  bool is_mergeable() const { return store_->is_mergeable(); }
  // As ExceptionStore::last_recorded(). Checked against the table in memory,
  // which is ready to forget() them.
  std::vector<ExceptionRun> last_recorded(
      const ExceptionStore::MergeLimit& limit) EXCLUDES(table_mutex_);
  void unrecord(uint64_t count) { store_->unrecord(count); }
  // From now on these chunks are the origin's.
  void forget(const std::vector<ExceptionRun>& runs) noexcept
      EXCLUDES(table_mutex_);

  // What a revert needs; see Reverter, and ExceptionStore. Without these chunks
  // its origin is lost, so from begin_revert() on, or a load that finds a note,
  // until end_revert() nothing makes the snapshot invalid: what would do so
  // fails.
  bool is_revertible() const { return store_->is_revertible(); }
  // Throws Errc::store_full if there is no room for the marks. REQUIRES: no
  // request is inside.
  void begin_revert(uint64_t length) EXCLUDES(table_mutex_);
  bool has_revert_note() const { return store_->has_revert_note(); }
  void note_revert() { store_->note_revert(); }
  std::shared_ptr<const RevertMarks> revert_marks() const {
    return store_->revert_marks();
  }
  void mark_reverted(const std::vector<ExceptionRun>& runs) {
    store_->mark_reverted(runs);
  }
  void end_revert();

  // Where the origin has been written since the snapshot became invalid, as
  // far as its chunks have no exception. Null: it was invalid when it was
  // loaded, and nobody knows.
  const std::shared_ptr<WrittenRanges>& written_since_invalid() const {
    return written_;
  }
  // REQUIRES: the snapshot is invalid, and `range` has not changed yet.
  void note_origin_write(ByteRange range) noexcept {
    if (written_ != nullptr) written_->add(range);
  }

  // Calls visit(chunk, stretch) for everything that the snapshot knew when it
  // became invalid; as look_up().
  template <typename Visit>
  void look_up_invalid(ChunkRange chunks, const Visit& visit) const
      EXCLUDES(table_mutex_) {
    ReaderLock lock(table_mutex_);
    visit_stretches(chunks, visit);
  }

  // Nothing is trusted any more: EIO for all that comes, durably recorded on
  // return (or reported as not recordable). If another thread is at it, waits
  // until it has been recorded. During a revert: throws, and nothing happens.
  void invalidate(const std::string& reason) EXCLUDES(invalidate_mutex_);

  // No room for a write to the snapshot that needs `count` chunks: throws
  // NoRoomYet if it is to wait; otherwise, overflows or invalidates, as the
  // type says, or leaves a snapshot that must not become invalid as it is.
  void store_is_full(uint64_t count = 1,
                     StoreSpace::Need need = StoreSpace::Need::chunks)
      EXCLUDES(invalidate_mutex_);

  // An overflowed snapshot whose device has room again is active. False: it
  // still has none.
  bool clear_overflow() EXCLUDES(table_mutex_, reason_mutex_);

 private:
  template <typename Visit>
  void visit_stretches(ChunkRange chunks, const Visit& visit) const
      REQUIRES_SHARED(table_mutex_) {
    while (!chunks.empty()) {
      ExceptionTable::Stretch stretch = table_.find(chunks.first, chunks.count);
      visit(chunks.first, stretch);
      chunks = {chunks.first + stretch.count, chunks.count - stretch.count};
    }
  }

  void require_full_length();
  bool try_publish(const std::vector<ExceptionRun>& runs)
      EXCLUDES(table_mutex_);
  void commit_pending() noexcept override;
  template <typename Commit>
  void invalidate_if_it_fails(const Commit& commit);
  CommitTimer::Clock::duration commit_interval() const EXCLUDES(owner_mutex_);
  void set_reason(const std::string& reason) EXCLUDES(reason_mutex_);
  void set_reverting(bool is_reverting);

  const std::shared_ptr<BlockDevice> cow_;
  const std::unique_ptr<ExceptionStore> store_;
  const std::shared_ptr<WrittenRanges> written_;
  uint64_t origin_size_ = 0;
  CommitTimer& timer_;
  EventSink& events_;
  StoreSpace space_;

  RangeLock copying_;

  // Held while the invalid header is being written: whoever finds the snapshot
  // invalid and is about to overwrite the origin waits here for it.
  Mutex invalidate_mutex_;
  std::atomic<bool> invalid_settled_{false};
  std::atomic<bool> unrecorded_{false};
  std::atomic<bool> has_shrunk_{false};
  std::atomic<bool> is_reverting_{false};

  // Changes with table_mutex_ held for writing.
  std::atomic<SnapshotState> state_;

  mutable SharedMutex table_mutex_;
  ExceptionTable table_ GUARDED_BY(table_mutex_);

  mutable Mutex owner_mutex_;
  Owner owner_ GUARDED_BY(owner_mutex_);

  mutable Mutex reason_mutex_;
  std::string reason_ GUARDED_BY(reason_mutex_);
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// The store of types P and PO, in dm-snapshot's on-disk format (FORMAT.md).
// Thread-safe.
//
// Commits are shared: whoever needs one and finds nobody at it becomes the
// leader and records everything that has been handed in up to the first
// reservation that is still being copied; the others wait for it, or for the
// next one. Records go to disk in the order of reservation, as the kernel's do,
// so that a crash never leaves a hole in the allocation.
#pragma once

#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <memory>

#include "core/block_device.h"
#include "core/disk_format.h"
#include "core/exception_store.h"
#include "core/exception_table.h"
#include "core/mutex.h"
#include "core/record_log.h"
#include "core/revert_marks.h"

namespace snapfs {

class PersistentStore : public ExceptionStore {
 public:
  // What the first bytes of a COW device say.
  struct Probe {
    enum class Kind {
      empty,    // no magic: a new store may be made here
      store,    // `header` is a store's
      foreign,  // something else
    };
    Kind kind = Kind::empty;
    DiskHeader header;
  };
  static Probe probe(BlockDevice& cow);

  // Makes a new store: the empty log is durable before the header is written.
  // REQUIRES: fits().
  static std::unique_ptr<PersistentStore> create(
      std::shared_ptr<BlockDevice> cow, ChunkSize chunk_size);

  // Is the device large enough for the metadata of an empty store?
  static bool fits(const BlockDevice& cow, ChunkSize chunk_size);

  // Loads the store that a valid header was found for, and puts its exceptions
  // into `table`. Checks every record: its old chunk must be one of the first
  // `origin_chunks`, its new chunk a data chunk inside the device, and neither
  // may be there twice. Throws std::system_error that names slot and offset.
  static std::unique_ptr<PersistentStore> load(std::shared_ptr<BlockDevice> cow,
                                               ChunkSize chunk_size,
                                               uint64_t origin_chunks,
                                               ExceptionTable& table);

  ChunkSize chunk_size() const override { return layout_.chunk_size(); }
  StoreUsage usage() const override EXCLUDES(mutex_);
  std::optional<Reservation> reserve(uint64_t count) override EXCLUDES(mutex_);
  bool has_room(uint64_t count) const override EXCLUDES(mutex_);
  void hand_in(const Reservation& reservation,
               std::vector<ExceptionRun> runs) noexcept override
      EXCLUDES(mutex_);
  void abandon(const Reservation& reservation) noexcept override
      EXCLUDES(mutex_);
  void commit() override EXCLUDES(mutex_);
  void commit_through(uint64_t new_chunk) override EXCLUDES(mutex_);
  bool is_durable(uint64_t new_chunk) const override;
  bool has_uncommitted() const override EXCLUDES(mutex_);
  bool is_mergeable() const override { return true; }
  std::vector<ExceptionRun> last_recorded(const MergeLimit& limit) override
      EXCLUDES(mutex_);
  void unrecord(uint64_t count) override EXCLUDES(mutex_);
  bool is_revertible() const override { return true; }
  uint64_t revert_chunks() const override EXCLUDES(mutex_);
  void begin_revert(uint64_t length, uint64_t exceptions) override
      EXCLUDES(mutex_);
  bool has_revert_note() const override EXCLUDES(mutex_);
  void note_revert() override EXCLUDES(mutex_);
  std::shared_ptr<const RevertMarks> revert_marks() const override
      EXCLUDES(mutex_);
  void mark_reverted(const std::vector<ExceptionRun>& runs) override
      EXCLUDES(mutex_);
  void end_revert() override EXCLUDES(mutex_);

  // After a load: there is a note, but somebody who does not know of it has put
  // data where the marks were. end_revert() takes it away.
  bool has_void_note() const { return has_void_note_; }

  void invalidate() override EXCLUDES(mutex_);

 private:
  // A reservation on its way to the log.
  struct Pending {
    enum class State { copying, handed_in, abandoned };
    State state = State::copying;
    uint64_t count = 0;      // records it will need at most
    uint64_t new_begin = 0;  // the first of its chunks
    uint64_t new_end = 0;    // behind the last of its chunks
    std::vector<ExceptionRun> runs;
  };

  PersistentStore(std::shared_ptr<BlockDevice> cow, StoreLayout layout,
                  RecordLog log, uint64_t next_free, bool ascends);

  // What one commit records.
  struct Group {
    std::vector<ExceptionRun> runs;
    uint64_t durable_end = 0;
  };

  std::optional<std::vector<ChunkRange>> find_room(uint64_t count) const
      REQUIRES(mutex_);
  uint64_t device_chunks() const;
  std::shared_ptr<RevertMarks> take_room_for_marks(uint64_t length,
                                                   uint64_t exceptions)
      EXCLUDES(mutex_);
  void give_marks_back() EXCLUDES(mutex_);
  void load_marks(const RevertNote& note) EXCLUDES(mutex_);
  std::shared_ptr<RevertMarks> marks() const EXCLUDES(mutex_);
  void finish(const Reservation& reservation, Pending::State state,
              std::vector<ExceptionRun> runs) EXCLUDES(mutex_);
  void give_back_last() REQUIRES(mutex_);
  bool is_complete_through(uint64_t ticket) const REQUIRES(mutex_);
  uint64_t ticket_of(uint64_t new_chunk) const REQUIRES(mutex_);
  Group take_complete() REQUIRES(mutex_);
  void require_full_length() const REQUIRES(mutex_);
  void lead_commit() REQUIRES(mutex_);
  template <typename Action>
  std::exception_ptr lead(const Action& action) REQUIRES(mutex_);
  void wait_for_turn() REQUIRES(mutex_);
  void flush_in_turn() EXCLUDES(mutex_);
  void write_header_in_turn(const RevertNote* note) EXCLUDES(mutex_);
  template <typename Action>
  void with_log(const Action& action) EXCLUDES(mutex_);
  std::optional<uint64_t> next_free_of_log();

  const std::shared_ptr<BlockDevice> cow_;
  const StoreLayout layout_;
  // Do the chunks of later records lie behind those of earlier ones?
  const bool ascends_;

  // Used by the leader alone.
  RecordLog log_;

  // Chunks of the COW device below this one are recorded durably.
  std::atomic<uint64_t> durable_end_;

  mutable Mutex mutex_;
  CondVar changed_;
  uint64_t next_free_ GUARDED_BY(mutex_);  // chunk
  uint64_t records_ GUARDED_BY(mutex_);    // committed and handed in
  uint64_t slots_ GUARDED_BY(mutex_);      // and those still being copied

  // pending_[i] belongs to ticket first_ticket_ + i.
  std::deque<Pending> pending_ GUARDED_BY(mutex_);
  uint64_t first_ticket_ GUARDED_BY(mutex_) = 1;
  uint64_t last_handed_in_ GUARDED_BY(mutex_) = 0;  // ticket
  uint64_t committed_end_ GUARDED_BY(mutex_) = 1;   // lower tickets are durable

  // What a commit could not write for want of space.
  Group unwritten_ GUARDED_BY(mutex_);

  bool has_leader_ GUARDED_BY(mutex_) = false;
  uint64_t commits_begun_ GUARDED_BY(mutex_) = 0;
  uint64_t commits_done_ GUARDED_BY(mutex_) = 0;
  std::exception_ptr broken_ GUARDED_BY(mutex_);  // a commit failed
  bool invalid_ GUARDED_BY(mutex_) = false;

  // While there is a revert.
  std::shared_ptr<RevertMarks> marks_ GUARDED_BY(mutex_);
  bool has_revert_note_ GUARDED_BY(mutex_) = false;
  bool has_void_note_ = false;
};

}  // namespace snapfs

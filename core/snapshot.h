// SPDX-License-Identifier: MIT
//
// A snapshot: its origin as seen through its exceptions. The target that dm
// calls "snapshot". Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cow_exceptions.h"
#include "core/family.h"
#include "core/payload.h"
#include "core/target.h"

namespace snapfs {

class Snapshot : public Target {
 public:
  struct Options {
    uint64_t length = 0;  // bytes
    bool read_only = false;
    bool discard_zeroes_cow = false;
    // Set with discard_passdown_origin: the origin, opened for writing.
    std::shared_ptr<BlockDevice> passdown;
    StoreType type = StoreType::persistent;
    std::string origin_name;  // as a table line prints them
    std::string cow_name;
  };

  // Without exceptions it is the destination of a handover, and answers EIO
  // until that; a source does so afterwards.
  Snapshot(std::shared_ptr<Family> family,
           std::unique_ptr<CowExceptions> exceptions, Options options);

  uint64_t size() const override { return options_.length; }
  bool read_only() const override { return options_.read_only; }
  void read(uint64_t offset, std::span<std::byte> into) override;
  void write(uint64_t offset, std::span<const std::byte> from) override;
  void zero(ByteRange range) override;
  void discard(ByteRange range) override;
  void flush() override;
  void wake_waiting() noexcept override;
  BlockDevice::Extent extent_at(uint64_t offset) override;
  uint64_t allocated_sectors() const override;
  std::string status_line() const override;
  std::string table_line() const override;
  std::string details() const override;
  std::vector<Measure> measures() const override;

  // The store goes to a table of `length` bytes. What that shows beyond the end
  // that the origin had is the origin as it is now: also in a last, incomplete
  // chunk that has an exception. Throws if that cannot be read or written.
  // REQUIRES: the gates of the device and of the family are closed and drained.
  void prepare_length(uint64_t length);

  // REQUIRES: it has some, as every member of a family has.
  CowExceptions& exceptions() const { return *exceptions_; }

 private:
  friend void hand_over(Snapshot& source, Snapshot& target,
                        CowExceptions::Owner owner) noexcept;
  friend std::unique_ptr<CowExceptions> give_up_store(
      Snapshot& source, CowExceptions::Owner owner) noexcept;

  // What a write that finds no room does: fail as dm does, with the state
  // changed; or be refused (a discard), with nothing changed.
  enum class IfFull { fail, unsupported };
  struct Piece;

  // Throws Errc::handed_over if the store is not here.
  CowExceptions& store() const;

  // The pieces of `range`, in order. With a ticket: one that protects the
  // origin's part of them from being overwritten, if there is any.
  std::vector<Piece> look_up(ByteRange range,
                             std::optional<ReadTracker::Ticket>* ticket) const;

  void settle(ByteRange range);
  void put(const Payload& payload, IfFull if_full);
  void put_excepted(const std::vector<Piece>& pieces, const Payload& payload);
  void put_fresh(const Payload& payload, IfFull if_full);
  [[noreturn]] void refuse_for_space(IfFull if_full, uint64_t count,
                                     StoreSpace::Need need);
  void fill(const ExceptionRun& run, const Payload& payload);
  void fill_partial_chunk(uint64_t old_chunk, uint64_t new_chunk,
                          const Payload& payload);
  void copy_from_origin(ByteRange range, uint64_t cow_offset);
  void flush_passed_down();
  void refuse_discard_without_room(ByteRange range);
  std::vector<Piece> pieces_to_zero(ByteRange range);
  bool origin_reads_as_zeroes(ByteRange range);

  const std::shared_ptr<Family> family_;
  const Options options_;

  // Changes in hand_over() alone, with the gates of device and family closed
  // and handover_mutex_ held. Requests, which are inside a gate, use it as it
  // is; whoever asks for the status or flushes takes the mutex.
  std::unique_ptr<CowExceptions> exceptions_;
  mutable SharedMutex handover_mutex_;

  // Discards that went to the origin, and how many of them a flush of it has
  // made durable (or, where flushes overlap, fewer).
  std::atomic<uint64_t> passed_down_{0};
  std::atomic<uint64_t> passed_down_flushed_{0};
};

// The measures of who owns this store; null: of who has none any more.
std::vector<Measure> store_measures(const CowExceptions* exceptions);

}  // namespace snapfs

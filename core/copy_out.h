// SPDX-License-Identifier: MIT
//
// Saves the old content of one range of the origin in every snapshot that
// needs it, before the range is overwritten. Used by one thread; lives for one
// write. The order is the heart of the engine:
//
//   lock the chunks in each snapshot -> reserve -> read the old data once,
//   write it to each COW -> hand in -> commit (durable) -> publish
//
// After that new reads go to the COWs, and the caller drains the older ones.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/chunk.h"
#include "core/cow_exceptions.h"
#include "core/family.h"

namespace snapfs {

class CopyOut {
 public:
  CopyOut(Family& family, ByteRange range, const Snapshot* except);
  // Publishes what an error has left handed in.
  ~CopyOut();
  CopyOut(const CopyOut&) = delete;
  CopyOut& operator=(const CopyOut&) = delete;

  // Returns when each snapshot holds the range durably or is durably invalid.
  // Throws if the write must not go on: NoRoomYet, if it is to wait for room in
  // one of them, or Errc::store_full. Then nothing is reserved in any of them.
  void run();

 private:
  // What one snapshot has to take.
  struct Share {
    CowExceptions* exceptions = nullptr;
    RangeLock::Hold hold;
    std::vector<ChunkRange> missing;
    bool is_full = false;
    std::optional<CowExceptions::Place> place;
    std::vector<ExceptionRun> runs;  // `missing`, with their new chunks
    std::string failure;             // why the copy failed; empty: it did not
    bool has_no_storage = false;     // it failed for want of space
    bool is_handed_in = false;
  };

  void find_missing();
  void find_missing(CowExceptions& exceptions, ChunkRange chunks);
  void reserve();
  void give_up_if_refused(bool Share::*has_no_room, StoreSpace::Need need);
  void copy();
  void copy_piece(ByteRange piece);
  void copy_piece_to(const Share& share, ByteRange piece,
                     std::span<std::byte> buffer, bool is_read);
  void hand_in();
  void commit();
  static void give_up_without_storage(CowExceptions& exceptions,
                                      const std::string& why);
  void publish();
  void wait_for_invalid_headers();
  std::vector<ByteRange> ranges_to_copy() const;

  Family& family_;
  const ByteRange range_;
  const Snapshot* const except_;
  const uint64_t origin_size_;
  std::vector<Share> shares_;

  // What has to be committed: all records up to this chunk of the COW.
  struct Volatile {
    CowExceptions* exceptions;
    uint64_t new_chunk;
  };
  std::vector<Volatile> volatile_;
};

}  // namespace snapfs

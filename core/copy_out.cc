// SPDX-License-Identifier: MIT
#include "core/copy_out.h"

#include <algorithm>
#include <cerrno>

#include "core/error.h"
#include "core/scratch_buffer.h"
#include "core/snapshot.h"

namespace snapfs {
namespace {

// Old data is moved in pieces of at most this size: one read of the origin for
// the largest request there is, bounded memory for the largest chunk.
constexpr uint64_t kPieceBytes = uint64_t{4} << 20;

uint64_t count_of(const std::vector<ChunkRange>& ranges) {
  uint64_t count = 0;
  for (const ChunkRange& range : ranges) count += range.count;
  return count;
}

}  // namespace

CopyOut::CopyOut(Family& family, ByteRange range, const Snapshot* except)
    : family_(family),
      range_(range),
      except_(except),
      origin_size_(family.origin().size()) {}

void CopyOut::run() {
  // An origin that was cut off: there is nothing to save, or to overwrite.
  if (range_.end() > origin_size_) {
    throw_errno(EIO, "behind the end of", family_.origin().name());
  }
  find_missing();
  if (!shares_.empty()) {
    reserve();
    copy();
  }
  hand_in();
  commit();
  publish();
  wait_for_invalid_headers();
}

CopyOut::~CopyOut() {
  for (Share& share : shares_) {
    if (!share.is_handed_in) continue;
    try {
      share.exceptions->publish(share.runs);
    } catch (const std::exception&) {
      // publish() has made the snapshot invalid; the header is written before
      // the next write to the origin.
    }
  }
}

void CopyOut::find_missing() {
  for (Snapshot* snapshot : family_.members_) {
    if (snapshot == except_) continue;
    // The origin may be longer than the snapshot: that part is not its own.
    ByteRange part = clip(range_, snapshot->size());
    if (part.empty()) continue;
    CowExceptions& exceptions = snapshot->exceptions();
    try {
      find_missing(exceptions, exceptions.chunk_size().cover(part));
    } catch (const std::system_error& error) {
      if (error.code() != Errc::snapshot_invalid) throw;
    }
  }
}

void CopyOut::find_missing(CowExceptions& exceptions, ChunkRange chunks) {
  std::vector<ChunkRange> missing;
  uint64_t last_volatile = 0;  // new chunk; 0 is none's
  auto look = [&] {
    missing.clear();
    last_volatile = 0;
    exceptions.look_up(
        chunks, [&](uint64_t chunk, const ExceptionTable::Stretch& stretch) {
          if (!stretch.excepted) {
            missing.push_back({chunk, stretch.count});
            return;
          }
          uint64_t last = stretch.new_chunk + stretch.count - 1;
          if (!exceptions.is_durable(last)) {
            last_volatile = std::max(last_volatile, last);
          }
        });
  };
  look();
  if (!missing.empty()) {
    RangeLock::Hold hold = exceptions.lock_chunks(chunks);
    look();  // somebody else may have copied them meanwhile
    if (!missing.empty()) {
      shares_.emplace_back();
      shares_.back().exceptions = &exceptions;
      shares_.back().hold = std::move(hold);
      shares_.back().missing = std::move(missing);
    }
  }
  if (last_volatile != 0) volatile_.push_back({&exceptions, last_volatile});
}

// In all or in none, if the write is not to go on without. What is abandoned
// may be lost to the store, so nothing is reserved before all seem to have it.
void CopyOut::reserve() {
  for (Share& share : shares_) {
    share.is_full = !share.exceptions->make_room(count_of(share.missing));
  }
  give_up_if_refused(&Share::is_full, StoreSpace::Need::chunks);
  for (Share& share : shares_) {
    share.place = share.exceptions->reserve(count_of(share.missing));
    share.is_full = !share.place;
  }
  give_up_if_refused(&Share::is_full, StoreSpace::Need::chunks);
  for (Share& share : shares_) {
    if (share.place) {
      share.runs = pair_up(share.missing, share.place->reservation());
    } else {
      share.exceptions->invalidate(
          "Unable to allocate exception: the store is full");
    }
  }
  std::erase_if(shares_, [](const Share& share) { return !share.place; });
}

// Those without room have a say before any of them becomes invalid.
void CopyOut::give_up_if_refused(bool Share::*has_no_room,
                                 StoreSpace::Need need) {
  for (Share& share : shares_) {
    if (!(share.*has_no_room)) continue;
    if (share.exceptions->space().no_room(count_of(share.missing), need) ==
        StoreSpace::Outcome::refuse) {
      throw std::system_error(Errc::store_full, share.exceptions->cow().name());
    }
  }
}

// The bytes that at least one share needs, ascending and coalesced.
std::vector<ByteRange> CopyOut::ranges_to_copy() const {
  std::vector<ByteRange> ranges;
  for (const Share& share : shares_) {
    for (const ChunkRange& chunks : share.missing) {
      ranges.push_back(
          clip(share.exceptions->chunk_size().bytes_of(chunks), origin_size_));
    }
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const ByteRange& a, const ByteRange& b) {
              return a.offset < b.offset;
            });
  std::vector<ByteRange> merged;
  for (const ByteRange& range : ranges) {
    if (!merged.empty() && range.offset <= merged.back().end()) {
      uint64_t end = std::max(merged.back().end(), range.end());
      merged.back().length = end - merged.back().offset;
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

void CopyOut::copy() {
  for (ByteRange range : ranges_to_copy()) {
    while (!range.empty()) {
      ByteRange piece{range.offset, std::min(range.length, kPieceBytes)};
      copy_piece(piece);
      range = {piece.end(), range.length - piece.length};
    }
  }
}

void CopyOut::copy_piece(ByteRange piece) {
  ScratchBuffer buffer(piece.length);
  bool is_read = true;
  try {
    family_.origin().read(piece.offset, buffer.bytes());
  } catch (const std::exception&) {
    is_read = false;
  }
  for (Share& share : shares_) {
    if (!share.failure.empty()) continue;
    try {
      copy_piece_to(share, piece, buffer.bytes(), is_read);
    } catch (const std::exception& error) {
      share.failure = error.what();
      share.has_no_storage = errno_of(error) == ENOSPC;
    }
  }
}

// `buffer` holds the piece or, where that could not be read as a whole, is room
// for it: a bad sector costs those snapshots alone that need it.
void CopyOut::copy_piece_to(const Share& share, ByteRange piece,
                            std::span<std::byte> buffer, bool is_read) {
  ChunkSize chunk_size = share.exceptions->chunk_size();
  for (const ExceptionRun& run : share.runs) {
    ByteRange old_bytes = chunk_size.bytes_of({run.old_chunk, run.count});
    ByteRange part = intersect(old_bytes, piece);
    if (part.empty()) continue;
    auto bytes = buffer.subspan(part.offset - piece.offset, part.length);
    if (!is_read) family_.origin().read(part.offset, bytes);
    share.exceptions->cow().write(
        chunk_size.start_of(run.new_chunk) + (part.offset - old_bytes.offset),
        bytes);
  }
}

void CopyOut::hand_in() {
  give_up_if_refused(&Share::has_no_storage, StoreSpace::Need::storage);
  for (Share& share : shares_) {
    if (!share.failure.empty()) continue;
    uint64_t last = share.place->reservation().new_chunks.back().end() - 1;
    volatile_.push_back({share.exceptions, last});
    share.place->hand_in(share.runs);
    share.is_handed_in = true;
  }
  for (Share& share : shares_) {
    if (share.failure.empty()) continue;
    share.place.reset();
    if (share.exceptions->has_shrunk()) {
      throw std::system_error(Errc::cow_shrunk, share.exceptions->cow().name());
    }
    share.exceptions->invalidate("Error reading/writing: " + share.failure);
  }
}

void CopyOut::commit() {
  for (const Volatile& each : volatile_) {
    try {
      each.exceptions->commit_through(each.new_chunk);
    } catch (const std::exception& error) {
      // That has made this snapshot invalid and said why. The write to the
      // origin goes on, as the kernel's does.
      if (each.exceptions->state() == SnapshotState::invalid) continue;
      if (errno_of(error) != ENOSPC) throw;
      give_up_without_storage(*each.exceptions, error.what());
    }
  }
}

// The records are handed in, and will be written some time; but the write to
// the origin must not be before that.
void CopyOut::give_up_without_storage(CowExceptions& exceptions,
                                      const std::string& why) {
  if (exceptions.space().no_room(0, StoreSpace::Need::storage) ==
      StoreSpace::Outcome::refuse) {
    throw std::system_error(Errc::store_full, exceptions.cow().name());
  }
  exceptions.invalidate("Error reading/writing: " + why);
}

void CopyOut::publish() {
  for (Share& share : shares_) {
    if (share.is_handed_in) share.exceptions->publish(share.runs);
    share.is_handed_in = false;
  }
  shares_.clear();  // lets go of the chunks
}

// A snapshot that another thread is making invalid right now needs no copy, but
// the origin must not change before its header says so.
void CopyOut::wait_for_invalid_headers() {
  for (Snapshot* snapshot : family_.members_) {
    CowExceptions& exceptions = snapshot->exceptions();
    if (exceptions.state() == SnapshotState::invalid) {
      exceptions.invalidate("");
    }
  }
}

}  // namespace snapfs

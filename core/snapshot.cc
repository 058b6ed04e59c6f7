// SPDX-License-Identifier: MIT
#include "core/snapshot.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/reverter.h"
#include "core/scratch_buffer.h"

namespace snapfs {
namespace {

// Zeroing and copying go in pieces, so that memory and the time for which
// chunks are locked stay bounded.
constexpr uint64_t kPieceBytes = uint64_t{1} << 20;

template <typename Function>
void for_each_piece(ByteRange range, uint64_t piece_bytes,
                    const Function& function) {
  while (!range.empty()) {
    uint64_t to_boundary = piece_bytes - range.offset % piece_bytes;
    ByteRange piece{range.offset, std::min(range.length, to_boundary)};
    function(piece);
    range = {piece.end(), range.length - piece.length};
  }
}

// As YAML has it between double quotes.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

}  // namespace

Snapshot::Snapshot(std::shared_ptr<Family> family,
                   std::unique_ptr<CowExceptions> exceptions, Options options)
    : family_(std::move(family)),
      options_(std::move(options)),
      exceptions_(std::move(exceptions)) {
  if (exceptions_ != nullptr) {
    exceptions_->set_origin_size(family_->origin().size());
  }
}

void Snapshot::prepare_length(uint64_t length) {
  const uint64_t old_end = exceptions_->origin_size();
  const uint64_t new_end = family_->origin().size();
  if (length <= old_end || new_end <= old_end ||
      exceptions_->state() == SnapshotState::invalid) {
    return;
  }
  const ChunkSize chunk_size = exceptions_->chunk_size();
  const ChunkRange last = chunk_size.cover({old_end - 1, 1});
  const ExceptionTable::Stretch stretch =
      exceptions_->stretch_at(last.first, 1);
  const ByteRange chunk = clip(chunk_size.bytes_of(last), new_end);
  if (stretch.excepted && chunk.end() > old_end) {
    copy_from_origin({old_end, chunk.end() - old_end},
                     chunk_size.start_of(stretch.new_chunk) +
                         chunk_size.offset_in_chunk(old_end));
  }
  exceptions_->set_origin_size(new_end);
}

CowExceptions& Snapshot::store() const {
  if (exceptions_ == nullptr) {
    throw std::system_error(Errc::handed_over, options_.cow_name);
  }
  return *exceptions_;
}

// What `chunk` on is, as bytes of both sides, cut to `range`.
struct Snapshot::Piece {
  bool excepted;
  ByteRange range;      // of the snapshot and of the origin
  uint64_t cow_offset;  // if excepted
};

std::vector<Snapshot::Piece> Snapshot::look_up(
    ByteRange range, std::optional<ReadTracker::Ticket>* ticket) const {
  const ChunkSize chunk_size = store().chunk_size();
  std::vector<Piece> pieces;
  exceptions_->look_up(
      chunk_size.cover(range),
      [&](uint64_t chunk, const ExceptionTable::Stretch& stretch) {
        ByteRange bytes = chunk_size.bytes_of({chunk, stretch.count});
        ByteRange part = intersect(bytes, range);
        uint64_t cow_offset = chunk_size.start_of(stretch.new_chunk) +
                              (part.offset - bytes.offset);
        pieces.push_back({stretch.excepted, part, cow_offset});
        // While the table is locked: whoever publishes an exception for this
        // range later finds the ticket when it drains.
        if (!stretch.excepted && ticket != nullptr && !*ticket) {
          ticket->emplace(family_->reads(), range);
        }
      });
  return pieces;
}

void Snapshot::read(uint64_t offset, std::span<std::byte> into) {
  std::optional<ReadTracker::Ticket> ticket;
  for (const Piece& piece : look_up({offset, into.size()}, &ticket)) {
    auto part = into.subspan(piece.range.offset - offset, piece.range.length);
    if (piece.excepted) {
      exceptions_->cow().read(piece.cow_offset, part);
    } else {
      family_->origin().read(piece.range.offset, part);
    }
  }
}

void Snapshot::write(uint64_t offset, std::span<const std::byte> from) {
  put(Payload(offset, from), IfFull::fail);
}

void Snapshot::zero(ByteRange range) {
  store().require_writable();
  uint64_t piece = std::max(kPieceBytes, exceptions_->chunk_size().bytes());
  for_each_piece(range, piece, [&](ByteRange part) {
    put(Payload::zeroes(part), IfFull::fail);
  });
}

// What a revert still reads here it copies to the origin first. If one begins,
// no write is inside.
void Snapshot::settle(ByteRange range) {
  const std::shared_ptr<Reverter> reverter = family_->reverter();
  if (reverter != nullptr && &reverter->exceptions() == exceptions_.get()) {
    reverter->settle(range);
  }
}

void Snapshot::put(const Payload& payload, IfFull if_full) {
  store().require_writable();
  settle(payload.range());
  bool all_excepted = true;
  std::vector<Piece> pieces = look_up(payload.range(), nullptr);
  for (const Piece& piece : pieces) all_excepted &= piece.excepted;
  if (all_excepted) {
    put_excepted(pieces, payload);
  } else {
    put_fresh(payload, if_full);
  }
}

void Snapshot::put_excepted(const std::vector<Piece>& pieces,
                            const Payload& payload) {
  for (const Piece& piece : pieces) {
    if (!piece.excepted) continue;
    payload.slice(piece.range).put(exceptions_->cow(), piece.cow_offset);
  }
}

// At least one chunk has no exception yet, unless somebody has been quicker.
void Snapshot::put_fresh(const Payload& payload, IfFull if_full) {
  if (payload.range().end() > family_->origin().size()) {
    throw_errno(EIO, "behind the end of", family_->origin().name());
  }
  const ChunkSize chunk_size = exceptions_->chunk_size();
  auto hold = exceptions_->lock_chunks(chunk_size.cover(payload.range()));
  std::vector<Piece> pieces = look_up(payload.range(), nullptr);
  put_excepted(pieces, payload);

  std::vector<ChunkRange> missing;
  uint64_t count = 0;
  for (const Piece& piece : pieces) {
    if (piece.excepted) continue;
    missing.push_back(chunk_size.cover(piece.range));
    count += missing.back().count;
  }
  if (count == 0) return;
  auto place = exceptions_->reserve(count);
  if (!place) refuse_for_space(if_full, count, StoreSpace::Need::chunks);

  std::vector<ExceptionRun> runs = pair_up(missing, place->reservation());
  try {
    for (const ExceptionRun& run : runs) fill(run, payload);
  } catch (const std::exception& error) {
    place.reset();
    // A sparse COW on a full filesystem is a full store.
    if (errno_of(error) == ENOSPC) {
      refuse_for_space(if_full, count, StoreSpace::Need::storage);
    }
    if (exceptions_->has_shrunk()) throw;
    exceptions_->invalidate(std::string("Error reading/writing: ") +
                            error.what());
    throw;
  }
  place->hand_in(runs);
  if (!exceptions_->publish(runs)) exceptions_->require_readable();
}

void Snapshot::refuse_for_space(IfFull if_full, uint64_t count,
                                StoreSpace::Need need) {
  if (if_full == IfFull::unsupported) {
    throw std::system_error(Errc::unsupported, "discard without room");
  }
  exceptions_->store_is_full(count, need);
  throw std::system_error(Errc::store_full, exceptions_->cow().name());
}

// Puts the payload's part of the run into its new chunks, and the origin's
// content around it.
void Snapshot::fill(const ExceptionRun& run, const Payload& payload) {
  const ChunkSize chunk_size = exceptions_->chunk_size();
  const uint64_t origin_size = family_->origin().size();
  ByteRange old_bytes =
      clip(chunk_size.bytes_of({run.old_chunk, run.count}), origin_size);
  ByteRange given = intersect(old_bytes, payload.range());

  uint64_t first = 0;
  uint64_t end = run.count;
  if (given.offset > old_bytes.offset) {
    fill_partial_chunk(run.old_chunk, run.new_chunk, payload);
    first = 1;
  }
  if (given.end() < old_bytes.end() && first < end) {
    --end;
    fill_partial_chunk(run.old_chunk + end, run.new_chunk + end, payload);
  }
  ByteRange whole = intersect(
      chunk_size.bytes_of({run.old_chunk + first, end - first}), given);
  payload.slice(whole).put(exceptions_->cow(),
                           chunk_size.start_of(run.new_chunk + first));
}

void Snapshot::fill_partial_chunk(uint64_t old_chunk, uint64_t new_chunk,
                                  const Payload& payload) {
  const ChunkSize chunk_size = exceptions_->chunk_size();
  ByteRange chunk =
      clip(chunk_size.bytes_of({old_chunk, 1}), family_->origin().size());
  ByteRange given = intersect(chunk, payload.range());
  ByteRange head{chunk.offset, given.offset - chunk.offset};
  ByteRange tail{given.end(), chunk.end() - given.end()};
  uint64_t cow_offset = chunk_size.start_of(new_chunk);

  if (chunk.length > kPieceBytes) {
    copy_from_origin(head, cow_offset);
    payload.slice(given).put(exceptions_->cow(), cow_offset + head.length);
    copy_from_origin(tail, cow_offset + (tail.offset - chunk.offset));
    return;
  }
  // One read of what is needed and one write of the whole chunk.
  ScratchBuffer scratch(chunk.length);
  std::span<std::byte> buffer = scratch.bytes();
  ByteRange needed = head.empty() ? tail : tail.empty() ? head : chunk;
  family_->origin().read(
      needed.offset,
      buffer.subspan(needed.offset - chunk.offset, needed.length));
  payload.slice(given).put(buffer.subspan(head.length));
  exceptions_->cow().write(cow_offset, buffer);
}

void Snapshot::copy_from_origin(ByteRange range, uint64_t cow_offset) {
  for_each_piece(range, kPieceBytes, [&](ByteRange piece) {
    ScratchBuffer buffer(piece.length);
    family_->origin().read(piece.offset, buffer.bytes());
    exceptions_->cow().write(cow_offset + (piece.offset - range.offset),
                             buffer.bytes());
  });
}

void Snapshot::discard(ByteRange range) {
  if (!options_.discard_zeroes_cow) {
    throw std::system_error(Errc::unsupported,
                            "discard without discard_zeroes_cow");
  }
  store().require_writable();
  const uint64_t step =
      std::max(kPieceBytes, exceptions_->chunk_size().bytes());
  if (options_.passdown != nullptr) {
    // The origin first: an origin write that comes between saves zeroes.
    family_->write(*options_.passdown, Payload::zeroes(range), this);
    ++passed_down_;
    for_each_piece(range, step, [&](ByteRange part) {
      // A chunk that is being copied may have been read before.
      auto hold =
          exceptions_->lock_chunks(exceptions_->chunk_size().cover(part));
      put_excepted(look_up(part, nullptr), Payload::zeroes(part));
    });
    return;
  }
  refuse_discard_without_room(range);
  for_each_piece(range, step, [&](ByteRange part) {
    for (const Piece& piece : pieces_to_zero(part)) {
      put(Payload::zeroes(piece.range), IfFull::unsupported);
    }
  });
}

// A discard is to free space; it must not be what makes a snapshot overflow.
void Snapshot::refuse_discard_without_room(ByteRange range) {
  const ChunkSize chunk_size = exceptions_->chunk_size();
  uint64_t needed = 0;
  uint64_t step = std::max(kPieceBytes, chunk_size.bytes());
  for_each_piece(range, step, [&](ByteRange part) {
    for (const Piece& piece : pieces_to_zero(part)) {
      if (!piece.excepted) needed += chunk_size.cover(piece.range).count;
    }
  });
  if (needed != 0 && !exceptions_->make_room(needed)) {
    refuse_for_space(IfFull::unsupported, needed, StoreSpace::Need::chunks);
  }
}

// What does not read as zeroes yet, for all that is known.
std::vector<Snapshot::Piece> Snapshot::pieces_to_zero(ByteRange range) {
  // Keeps the origin as it is between the look at the table and that at it.
  ReadTracker::Ticket ticket(family_->reads(), range);
  std::vector<Piece> pieces = look_up(range, nullptr);
  std::erase_if(pieces, [&](const Piece& piece) {
    return !piece.excepted && origin_reads_as_zeroes(piece.range);
  });
  return pieces;
}

bool Snapshot::origin_reads_as_zeroes(ByteRange range) {
  while (!range.empty()) {
    BlockDevice::Extent extent = family_->origin().extent_at(range.offset);
    if (extent.is_data) return false;
    uint64_t length = std::min(extent.length, range.length);
    range = {range.offset + length, range.length - length};
  }
  return true;
}

// Also of an invalid snapshot, as dm does it: what failed to become durable
// has been reported, and is again by commit().
void Snapshot::flush() {
  // Not only requests flush: the end of a mount does, too.
  ReaderLock lock(handover_mutex_);
  flush_passed_down();
  if (exceptions_ != nullptr) exceptions_->commit();
}

void Snapshot::flush_passed_down() {
  const uint64_t count = passed_down_;
  if (count == passed_down_flushed_) return;
  family_->durable_writes().flush(*options_.passdown);
  passed_down_flushed_ = count;
}

void Snapshot::wake_waiting() noexcept {
  ReaderLock lock(handover_mutex_);
  if (exceptions_ != nullptr) exceptions_->space().wake();
}

BlockDevice::Extent Snapshot::extent_at(uint64_t offset) {
  const ChunkSize chunk_size = store().chunk_size();
  ChunkRange rest = chunk_size.cover({offset, size() - offset});
  // Keeps the origin as it is until it has been asked.
  ReadTracker::Ticket ticket(family_->reads(), {offset, size() - offset});
  ExceptionTable::Stretch stretch =
      exceptions_->stretch_at(rest.first, rest.count);
  uint64_t end =
      std::min(chunk_size.start_of(rest.first + stretch.count), size());
  BlockDevice::Extent extent =
      stretch.excepted ? exceptions_->cow().extent_at(
                             chunk_size.start_of(stretch.new_chunk) +
                             chunk_size.offset_in_chunk(offset))
                       : family_->origin().extent_at(offset);
  extent.length = std::min(extent.length, end - offset);
  return extent;
}

uint64_t Snapshot::allocated_sectors() const {
  ReaderLock lock(handover_mutex_);
  return exceptions_ == nullptr ? 0 : exceptions_->usage().allocated;
}

std::string Snapshot::status_line() const {
  ReaderLock lock(handover_mutex_);
  std::string line =
      "0 " + std::to_string(options_.length >> kSectorShift) + " snapshot ";
  switch (exceptions_ == nullptr ? SnapshotState::invalid
                                 : exceptions_->state()) {
    case SnapshotState::invalid:
      return line + "Invalid";
    case SnapshotState::overflowed:
      return line + "Overflow";
    case SnapshotState::active:
      break;
  }
  StoreUsage usage = exceptions_->usage();
  return line + std::to_string(usage.allocated) + "/" +
         std::to_string(usage.total) + " " + std::to_string(usage.metadata);
}

std::string Snapshot::table_line() const {
  ReaderLock lock(handover_mutex_);
  // As the kernel prints it for a source that has been drained.
  uint64_t chunk_sectors =
      exceptions_ == nullptr ? 0 : exceptions_->chunk_size().sectors();
  std::string line = "0 " + std::to_string(options_.length >> kSectorShift) +
                     " snapshot " + options_.origin_name + " " +
                     options_.cow_name + " " + to_string(options_.type) + " " +
                     std::to_string(chunk_sectors);
  if (options_.passdown != nullptr) {
    line += " 2 discard_zeroes_cow discard_passdown_origin";
  } else if (options_.discard_zeroes_cow) {
    line += " 1 discard_zeroes_cow";
  }
  return line;
}

std::string Snapshot::details() const {
  ReaderLock lock(handover_mutex_);
  std::string text;
  auto add = [&](const std::string& key, const std::string& value) {
    text += key + ": " + value + "\n";
  };
  add("origin", options_.origin_name);
  add("cow", options_.cow_name);
  add("store", to_string(options_.type));
  if (exceptions_ == nullptr) return text;
  add("chunk_sectors", std::to_string(exceptions_->chunk_size().sectors()));
  std::string reason = exceptions_->reason();
  if (!reason.empty()) add("reason", quoted(reason));
  return text;
}

std::vector<Measure> Snapshot::measures() const {
  ReaderLock lock(handover_mutex_);
  return store_measures(exceptions_.get());
}

std::vector<Measure> store_measures(const CowExceptions* exceptions) {
  const bool has_store = exceptions != nullptr;
  const SnapshotState state =
      has_store ? exceptions->state() : SnapshotState::invalid;
  const StoreUsage usage = has_store ? exceptions->usage() : StoreUsage{};
  std::vector<Measure> measures{
      {"exceptions", "Exceptions of the snapshot",
       has_store ? exceptions->exception_count() : 0},
      {"memory_bytes", "Memory that holds the exceptions",
       has_store ? exceptions->memory_bytes() : 0},
      {"cow_used_bytes", "What is used of the COW device",
       usage.allocated << kSectorShift},
      {"cow_total_bytes", "Size of the COW device",
       usage.total << kSectorShift},
      {"cow_metadata_bytes", "What the records use of the COW device",
       usage.metadata << kSectorShift},
      {"cow_used_percent", "How full the COW device is",
       has_store ? exceptions->space().used_percent() : 0},
      {"waiting_for_room", "Requests that wait for room on the COW device",
       has_store ? exceptions->space().waiting_count() : 0},
      {"invalid", "1 if the content of the snapshot is lost",
       state == SnapshotState::invalid},
      {"overflowed", "1 if the COW is full, and writes fail",
       state == SnapshotState::overflowed},
  };
  if (state == SnapshotState::invalid) return measures;
  if (auto left = exceptions->space().time_until_full()) {
    measures.push_back(
        {"cow_full_in_seconds",
         "When the COW device is full, if it goes on as in the last minute",
         static_cast<uint64_t>(left->count())});
  }
  return measures;
}

}  // namespace snapfs

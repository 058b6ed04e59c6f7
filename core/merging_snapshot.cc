// SPDX-License-Identifier: MIT
#include "core/merging_snapshot.h"

#include <algorithm>

#include "core/error.h"
#include "core/snapshot.h"

namespace snapfs {
namespace {

// Zeroes go in pieces, so that a writer does not hold up the merge for long.
constexpr uint64_t kPieceBytes = uint64_t{4} << 20;

}  // namespace

MergingSnapshot::MergingSnapshot(std::shared_ptr<Family> family,
                                 std::shared_ptr<BlockDevice> origin,
                                 ChunkSize chunk_size, Options options)
    : family_(std::move(family)),
      origin_(std::move(origin)),
      options_(std::move(options)),
      merger_(std::make_shared<Merger>(family_, origin_, chunk_size)) {}

void MergingSnapshot::read(uint64_t offset, std::span<std::byte> into) {
  ByteRange left{offset, into.size()};
  while (!left.empty()) {
    const Merger::Part part = merger_->place_to_read(left);
    auto bytes = into.subspan(part.range.offset - offset, part.range.length);
    if (part.place == Merger::Part::Place::origin) {
      origin_->read(part.range.offset, bytes);
    } else {
      merger_->exceptions().cow().read(part.cow_offset, bytes);
    }
    left = {part.range.end(), left.length - part.range.length};
  }
}

void MergingSnapshot::write(uint64_t offset, std::span<const std::byte> from) {
  put(Payload(offset, from));
}

void MergingSnapshot::zero(ByteRange range) {
  while (!range.empty()) {
    ByteRange piece{range.offset, std::min(range.length, kPieceBytes)};
    put(Payload::zeroes(piece));
    range = {piece.end(), range.length - piece.length};
  }
}

// dm takes it and does nothing; here it would have to read as zeroes.
void MergingSnapshot::discard(ByteRange) {
  throw std::system_error(Errc::unsupported, "discard during a merge");
}

void MergingSnapshot::put(const Payload& payload) {
  ByteRange left = payload.range();
  while (!left.empty()) {
    Merger::Ticket ticket;
    Merger::Part part = merger_->place_to_write(left, ticket);
    uint64_t done = part.range.length;
    if (part.place == Merger::Part::Place::both) {
      ticket.reset();
      done = put_on_both(payload, part.range);
    } else {
      put_part(payload, part, ticket);
    }
    left = {left.offset + done, left.length - done};
  }
}

// The ticket ends before the origin is written, for a write to the origin may
// have to wait for the family's gate, and that for a step of the merge.
void MergingSnapshot::put_part(const Payload& payload, const Merger::Part& part,
                               Merger::Ticket& ticket) {
  const Payload piece = payload.slice(part.range);
  if (part.place != Merger::Part::Place::origin) {
    piece.put(merger_->exceptions().cow(), part.cow_offset);
    ticket.reset();
  }
  if (part.place != Merger::Part::Place::cow) {
    family_->write(*origin_, piece, nullptr);
  }
}

// One writer at a time, so that both places get the same. Returns how much of
// the beginning of `range` is done.
uint64_t MergingSnapshot::put_on_both(const Payload& payload, ByteRange range) {
  CowExceptions& exceptions = merger_->exceptions();
  auto hold = exceptions.lock_chunks(exceptions.chunk_size().cover(range));
  Merger::Ticket ticket;
  // It may have been merged meanwhile.
  const Merger::Part part = merger_->place_to_write(range, ticket);
  put_part(payload, part, ticket);
  return part.range.length;
}

void MergingSnapshot::flush() { merger_->flush(); }

BlockDevice::Extent MergingSnapshot::extent_at(uint64_t offset) {
  const Merger::Part part = merger_->place_to_read({offset, size() - offset});
  BlockDevice::Extent extent =
      part.place == Merger::Part::Place::origin
          ? origin_->extent_at(offset)
          : merger_->exceptions().cow().extent_at(part.cow_offset);
  extent.length = std::min(extent.length, part.range.length);
  return extent;
}

uint64_t MergingSnapshot::allocated_sectors() const {
  return options_.length >> kSectorShift;
}

std::string MergingSnapshot::status_line() const {
  const std::string line = "0 " +
                           std::to_string(options_.length >> kSectorShift) +
                           " snapshot-merge ";
  const CowExceptions& exceptions = merger_->exceptions();
  if (exceptions.state() == SnapshotState::invalid) return line + "Invalid";
  if (!merger_->failure().empty()) return line + "Merge failed";
  if (exceptions.state() == SnapshotState::overflowed) return line + "Overflow";
  const StoreUsage usage = exceptions.usage();
  return line + std::to_string(usage.allocated) + "/" +
         std::to_string(usage.total) + " " + std::to_string(usage.metadata);
}

std::string MergingSnapshot::table_line() const {
  const CowExceptions& exceptions = merger_->exceptions();
  return "0 " + std::to_string(options_.length >> kSectorShift) +
         " snapshot-merge " + options_.origin_name + " " + options_.cow_name +
         " " + to_string(exceptions.type()) + " " +
         std::to_string(exceptions.chunk_size().sectors());
}

const char* MergingSnapshot::phase() const {
  if (merger_->is_finished()) return "finished";
  if (!merger_->failure().empty()) return "failed";
  return is_paused_ ? "suspended" : "running";
}

std::string MergingSnapshot::details() const {
  const CowExceptions& exceptions = merger_->exceptions();
  std::string text;
  auto add = [&](const std::string& key, const std::string& value) {
    text += key + ": " + value + "\n";
  };
  add("origin", options_.origin_name);
  add("cow", options_.cow_name);
  add("store", to_string(exceptions.type()));
  add("chunk_sectors", std::to_string(exceptions.chunk_size().sectors()));
  const Merger::Progress progress = merger_->progress();
  add("merge", phase());
  add("merge_total_chunks", std::to_string(progress.total));
  add("merge_merged_chunks", std::to_string(progress.merged));
  add("merge_rate", std::to_string(rate_.load()));
  const std::string failure = merger_->failure();
  if (!failure.empty()) add("reason", "\"" + failure + "\"");
  return text;
}

std::vector<Measure> MergingSnapshot::measures() const {
  const CowExceptions& exceptions = merger_->exceptions();
  const uint64_t chunk_bytes = exceptions.chunk_size().bytes();
  const Merger::Progress progress = merger_->progress();
  std::vector<Measure> measures = store_measures(&exceptions);
  measures.push_back({"merge_total_bytes", "What there was to be merged",
                      progress.total * chunk_bytes});
  measures.push_back({"merge_merged_bytes", "What has been merged of it",
                      progress.merged * chunk_bytes});
  measures.push_back({"merge_failed", "1 if the merge stands still",
                      merger_->failure().empty() ? 0u : 1u});
  return measures;
}

}  // namespace snapfs

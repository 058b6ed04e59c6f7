// SPDX-License-Identifier: MIT
#include "core/salvaged_snapshot.h"

#include <algorithm>

#include "core/error.h"

namespace snapfs {
namespace {

[[noreturn]] void refuse_write(const std::string& what) {
  throw std::system_error(Errc::read_only, what);
}

}  // namespace

SalvagedSnapshot::SalvagedSnapshot(std::shared_ptr<Family> family,
                                   std::shared_ptr<BlockDevice> cow,
                                   ExceptionTable recorded,
                                   std::shared_ptr<WrittenRanges> written,
                                   Options options)
    : family_(std::move(family)),
      cow_(std::move(cow)),
      recorded_(std::move(recorded)),
      written_(std::move(written)),
      options_(std::move(options)),
      total_of_unknown_(written_ == nullptr ? total() : Total{}) {}

// What the beginning of a range is, as far as that is in one place.
struct SalvagedSnapshot::Piece {
  bool is_recorded;
  ByteRange range;
  uint64_t cow_offset;  // if it is recorded
};

// REQUIRES: the range is not empty.
SalvagedSnapshot::Piece SalvagedSnapshot::piece_at(ByteRange range) const {
  const ChunkSize chunk_size = options_.chunk_size;
  const ChunkRange chunks = chunk_size.cover(range);
  const ExceptionTable::Stretch stretch =
      recorded_.find(chunks.first, chunks.count);
  const uint64_t end = chunk_size.start_of(chunks.first + stretch.count);
  return {stretch.excepted,
          {range.offset, std::min(end, range.end()) - range.offset},
          chunk_size.start_of(stretch.new_chunk) +
              chunk_size.offset_in_chunk(range.offset)};
}

void SalvagedSnapshot::read(uint64_t offset, std::span<std::byte> into) {
  ByteRange left{offset, into.size()};
  while (!left.empty()) {
    const Piece piece = piece_at(left);
    auto part = into.subspan(piece.range.offset - offset, piece.range.length);
    if (piece.is_recorded) {
      cow_->read(piece.cow_offset, part);
    } else {
      family_->origin().read(piece.range.offset, part);
    }
    left = {piece.range.end(), left.length - piece.range.length};
  }
}

void SalvagedSnapshot::write(uint64_t, std::span<const std::byte>) {
  refuse_write(cow_->name());
}

void SalvagedSnapshot::zero(ByteRange) { refuse_write(cow_->name()); }

void SalvagedSnapshot::discard(ByteRange) { refuse_write(cow_->name()); }

template <typename Take>
void SalvagedSnapshot::for_each_unrecorded(ByteRange range,
                                           const Take& take) const {
  while (!range.empty()) {
    const Piece piece = piece_at(range);
    if (!piece.is_recorded) take(piece.range);
    range = {piece.range.end(), range.length - piece.range.length};
  }
}

std::vector<ByteRange> SalvagedSnapshot::untrusted() const {
  std::vector<ByteRange> result;
  auto take = [&](ByteRange range) {
    if (!result.empty() && result.back().end() == range.offset) {
      result.back().length += range.length;
    } else {
      result.push_back(range);
    }
  };
  const std::vector<ByteRange> suspects =
      written_ == nullptr ? std::vector<ByteRange>{{0, size()}}
                          : written_->ranges();
  for (const ByteRange& range : suspects) {
    for_each_unrecorded(clip(range, size()), take);
  }
  return result;
}

SalvagedSnapshot::Total SalvagedSnapshot::total() const {
  Total total;
  for (const ByteRange& range : untrusted()) {
    total.bytes += range.length;
    ++total.ranges;
  }
  return total;
}

BlockDevice::Extent SalvagedSnapshot::extent_at(uint64_t offset) {
  const Piece piece = piece_at({offset, size() - offset});
  BlockDevice::Extent extent =
      piece.is_recorded ? cow_->extent_at(piece.cow_offset)
                        : family_->origin().extent_at(piece.range.offset);
  extent.length = std::min(extent.length, piece.range.length);
  return extent;
}

uint64_t SalvagedSnapshot::allocated_sectors() const {
  return options_.usage.allocated;
}

// As that of a snapshot, and then how many sectors are not to be trusted.
std::string SalvagedSnapshot::status_line() const {
  const Total untrusted = written_ == nullptr ? total_of_unknown_ : total();
  const StoreUsage& usage = options_.usage;
  return "0 " + std::to_string(size() >> kSectorShift) + " snapshot-salvage " +
         std::to_string(usage.allocated) + "/" + std::to_string(usage.total) +
         " " + std::to_string(usage.metadata) + " " +
         std::to_string((untrusted.bytes + kSectorBytes - 1) >> kSectorShift);
}

std::string SalvagedSnapshot::table_line() const {
  return "0 " + std::to_string(size() >> kSectorShift) + " snapshot-salvage " +
         options_.origin_name + " " + options_.cow_name + " P " +
         std::to_string(options_.chunk_size.sectors());
}

std::string SalvagedSnapshot::details() const {
  return "origin: " + options_.origin_name + "\ncow: " + options_.cow_name +
         "\nchunk_sectors: " + std::to_string(options_.chunk_size.sectors()) +
         "\norigin_writes: " + (written_ == nullptr ? "unknown" : "tracked") +
         "\n";
}

std::vector<Measure> SalvagedSnapshot::measures() const {
  const Total untrusted = written_ == nullptr ? total_of_unknown_ : total();
  return {
      {"exceptions", "Exceptions of the snapshot", recorded_.size()},
      {"memory_bytes", "Memory that holds the exceptions",
       recorded_.memory_bytes()},
      {"untrusted_bytes", "What may not be as the snapshot had it",
       untrusted.bytes},
      {"untrusted_ranges", "In how many ranges that lies", untrusted.ranges},
  };
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/merger.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/scratch_buffer.h"

namespace snapfs {
namespace {

// Content is moved in pieces of at most this size.
constexpr uint64_t kPieceBytes = uint64_t{1} << 20;

// Does `action`; says of an error what it means for the merge.
template <typename Action>
auto saying(const std::string& what, const Action& action) {
  try {
    return action();
  } catch (const std::system_error& error) {
    throw std::system_error(error.code(), what + ": " + error.what());
  }
}

// The number of leading chunks of `chunks` that are all inside `ranges`, or
// all outside.
std::pair<bool, uint64_t> leading_chunks(const std::vector<ChunkRange>& ranges,
                                         ChunkRange chunks) {
  uint64_t count = chunks.count;
  for (const ChunkRange& range : ranges) {
    if (!range.overlaps(chunks)) continue;
    if (range.first <= chunks.first) {
      return {true, std::min(chunks.end(), range.end()) - chunks.first};
    }
    count = std::min(count, range.first - chunks.first);
  }
  return {false, count};
}

void subtract(std::vector<ChunkRange>& ranges, const ChunkRange& gone) {
  std::vector<ChunkRange> left;
  for (const ChunkRange& range : ranges) {
    if (!range.overlaps(gone)) {
      left.push_back(range);
      continue;
    }
    if (range.first < gone.first) {
      left.push_back({range.first, gone.first - range.first});
    }
    if (gone.end() < range.end()) {
      left.push_back({gone.end(), range.end() - gone.end()});
    }
  }
  ranges = std::move(left);
}

std::vector<ChunkRange> old_chunks(const std::vector<ExceptionRun>& runs) {
  std::vector<ChunkRange> chunks;
  chunks.reserve(runs.size());
  for (const ExceptionRun& run : runs) {
    chunks.push_back({run.old_chunk, run.count});
  }
  return chunks;
}

}  // namespace

// Holds writers of a batch back.
class Merger::Hold {
 public:
  Hold(Merger& merger, const Batch& batch) : merger_(merger) {
    std::vector<ChunkRange> chunks = old_chunks(batch.runs);
    MutexLock lock(merger_.mutex_);
    merger_.merging_ = std::move(chunks);
  }
  ~Hold() {
    MutexLock lock(merger_.mutex_);
    merger_.merging_.clear();
    merger_.step_ended_.notify_all();
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  Merger& merger_;
};

void Merger::take(std::unique_ptr<CowExceptions> exceptions) noexcept {
  exceptions_ = std::move(exceptions);
  total_ = exceptions_->exception_count();
}

Merger::Progress Merger::progress() const {
  return {total_, total_ - exceptions_->exception_count()};
}

void Merger::forget_failure() {
  MutexLock lock(mutex_);
  failure_.clear();
}

std::string Merger::failure() const {
  MutexLock lock(mutex_);
  return failure_;
}

uint64_t Merger::step(const StepLimit& limit) {
  try {
    const uint64_t bytes = try_step(limit);
    if (bytes == 0) is_finished_ = true;
    MutexLock lock(mutex_);
    failure_.clear();
    return bytes;
  } catch (const std::exception& error) {
    MutexLock lock(mutex_);
    failure_ = error.what();
    throw;
  }
}

uint64_t Merger::try_step(const StepLimit& limit) {
  const Batch batch = take_last(limit);
  if (batch.runs.empty()) return 0;
  std::optional<Hold> hold;
  DurableWrites& durable_writes = family_->durable_writes();
  const uint64_t failures = durable_writes.failures();
  family_->overwrite(origin_ranges(batch), [&] {
    hold.emplace(*this, batch);
    for (const ExceptionRun& run : batch.runs) {
      cow_writes_.drain(chunk_size_.bytes_of({run.old_chunk, run.count}));
    }
    copy(batch);
  });
  saying("Flush after merge failed: shutting down merge",
         [&] { durable_writes.flush_copies(*origin_, failures); });
  clear(batch);
  return batch.chunks * chunk_size_.bytes();
}

Merger::Batch Merger::take_last(const StepLimit& limit) {
  if (exceptions_->state() == SnapshotState::invalid) {
    throw std::system_error(Errc::snapshot_invalid,
                            "Snapshot is invalid: can't merge");
  }
  Batch batch;
  batch.runs =
      saying("Read error in exception store: shutting down merge", [&] {
        return exceptions_->last_recorded(
            {std::max<uint64_t>(limit.bytes / chunk_size_.bytes(), 1),
             std::max<uint64_t>(limit.runs, 1)});
      });
  for (const ExceptionRun& run : batch.runs) batch.chunks += run.count;
  return batch;
}

std::vector<ByteRange> Merger::origin_ranges(const Batch& batch) const {
  std::vector<ByteRange> ranges;
  for (const ChunkRange& chunks : old_chunks(batch.runs)) {
    ranges.push_back(
        clip(chunk_size_.bytes_of(chunks), family_->origin().size()));
  }
  return ranges;
}

// Ascending on the origin, so that a disk need not seek back and forth.
void Merger::copy(const Batch& batch) {
  std::vector<ExceptionRun> runs = batch.runs;
  std::sort(runs.begin(), runs.end(),
            [](const ExceptionRun& a, const ExceptionRun& b) {
              return a.old_chunk < b.old_chunk;
            });
  for (const ExceptionRun& run : runs) copy(run);
}

void Merger::copy(const ExceptionRun& run) {
  ByteRange left = clip(chunk_size_.bytes_of({run.old_chunk, run.count}),
                        family_->origin().size());
  uint64_t from = chunk_size_.start_of(run.new_chunk);
  while (!left.empty()) {
    ByteRange piece{left.offset, std::min(left.length, kPieceBytes)};
    ScratchBuffer buffer(piece.length);
    std::span<std::byte> bytes = buffer.bytes().first(piece.length);
    saying("Read error: shutting down merge",
           [&] { exceptions_->cow().read(from, bytes); });
    saying("Write error: shutting down merge",
           [&] { origin_->write(piece.offset, bytes); });
    from += piece.length;
    left = {piece.end(), left.length - piece.length};
  }
}

void Merger::clear(const Batch& batch) {
  const std::vector<ChunkRange> chunks = old_chunks(batch.runs);
  {
    MutexLock lock(mutex_);
    in_doubt_.insert(in_doubt_.end(), chunks.begin(), chunks.end());
  }
  // This flushes what others have written there, too, and a flush of theirs may
  // be told what has become of the records.
  saying("Write error in exception store: shutting down merge", [&] {
    cow_durable_writes_.flush_by([&] { exceptions_->unrecord(batch.chunks); });
  });
  exceptions_->forget(batch.runs);
  // What is no exception any more is in no doubt. An earlier step that failed
  // may have had other limits, so parts are cut off as well.
  MutexLock lock(mutex_);
  for (const ChunkRange& gone : chunks) subtract(in_doubt_, gone);
}

Merger::Part Merger::first_part(ByteRange range,
                                const ExceptionTable::Stretch& found) const {
  const uint64_t first = chunk_size_.chunk_of(range.offset);
  ByteRange bytes = chunk_size_.bytes_of({first, found.count});
  Part part;
  part.place = found.excepted ? Part::Place::cow : Part::Place::origin;
  part.range = intersect(bytes, range);
  if (found.excepted) {
    part.cow_offset = chunk_size_.start_of(found.new_chunk) +
                      chunk_size_.offset_in_chunk(range.offset);
  }
  return part;
}

Merger::Part Merger::place_to_read(ByteRange range) const {
  const ChunkRange chunks = chunk_size_.cover(range);
  return first_part(range, exceptions_->stretch_at(chunks.first, chunks.count));
}

Merger::Part Merger::place_to_write(ByteRange range, Ticket& ticket) {
  const ChunkRange wanted = chunk_size_.cover(range);
  for (;;) {
    Part part;
    bool is_held = false;
    exceptions_->look_at_first(wanted, [&](ExceptionTable::Stretch found) {
      part = first_part(range, found);
      if (!found.excepted) return;
      // With the table locked, so that nothing is forgotten before the
      // ticket is there.
      MutexLock lock(mutex_);
      ChunkRange chunks{wanted.first, found.count};
      is_held = narrow_to_mergeable(chunks, part.place);
      part.range = intersect(part.range, chunk_size_.bytes_of(chunks));
      if (!is_held) ticket.emplace(cow_writes_, part.range);
    });
    if (!is_held) return part;
    MutexLock lock(mutex_);
    while (leading_chunks(merging_, {wanted.first, 1}).first) {
      step_ended_.wait(mutex_);
    }
  }
}

// Cuts `chunks` to those that share the fate of the first one. True: they are
// being merged.
bool Merger::narrow_to_mergeable(ChunkRange& chunks, Part::Place& place) const {
  auto [is_merging, count] = leading_chunks(merging_, chunks);
  chunks.count = count;
  if (is_merging) return true;
  auto [is_doubtful, same] = leading_chunks(in_doubt_, chunks);
  chunks.count = same;
  if (is_doubtful) place = Part::Place::both;
  return false;
}

void Merger::flush() {
  std::exception_ptr failure;
  auto try_to = [&](DurableWrites& writes, BlockDevice& device) {
    try {
      writes.flush(device);
    } catch (...) {
      failure = std::current_exception();
    }
  };
  try_to(cow_durable_writes_, exceptions_->cow());
  try_to(family_->durable_writes(), *origin_);
  if (failure) std::rethrow_exception(failure);
}

void Merger::forgive() {
  cow_durable_writes_.forgive();
  family_->durable_writes().forgive();
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/reverter.h"

#include <algorithm>

#include "core/error.h"
#include "core/family.h"
#include "core/scratch_buffer.h"

namespace snapfs {
namespace {

// Content is moved in pieces of at most this size.
constexpr uint64_t kPieceBytes = uint64_t{1} << 20;

// A writer who needs a chunk has what follows reverted with it, so that small
// writes one after the other do not cost a flush each.
constexpr uint64_t kAheadBytes = uint64_t{128} << 10;

// Does `action`; says of an error what it means for the revert.
template <typename Action>
void saying(const std::string& what, const Action& action) {
  try {
    action();
  } catch (const std::system_error& error) {
    throw std::system_error(error.code(), what + ": " + error.what());
  }
}

}  // namespace

class Reverter::Turn {
 public:
  explicit Turn(Reverter& reverter) : reverter_(reverter) {
    MutexLock lock(reverter_.mutex_);
    const uint64_t mine = reverter_.next_turn_++;
    while (reverter_.present_turn_ != mine) {
      reverter_.turn_ended_.wait(reverter_.mutex_);
    }
  }
  ~Turn() {
    MutexLock lock(reverter_.mutex_);
    ++reverter_.present_turn_;
    reverter_.turn_ended_.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Reverter& reverter_;
};

// What is in one place, as bytes of the origin.
struct Reverter::Piece {
  bool is_on_cow = false;
  ByteRange range;
  uint64_t cow_offset = 0;
};

Reverter::Reverter(Family& family, CowExceptions& exceptions,
                   std::shared_ptr<BlockDevice> origin)
    : family_(family),
      exceptions_(exceptions),
      origin_(std::move(origin)),
      chunk_size_(exceptions.chunk_size()),
      marks_(exceptions.revert_marks()) {}

Reverter::Progress Reverter::progress() const {
  const uint64_t total = marks_->note().exceptions;
  return {total, is_finished() ? total : std::min(marks_->count(), total)};
}

std::string Reverter::failure() const {
  MutexLock lock(mutex_);
  return failure_;
}

void Reverter::forget_failure() {
  MutexLock lock(mutex_);
  failure_.clear();
}

ByteRange Reverter::clipped(ByteRange range) const {
  return clip(range, std::min(marks_->note().length_sectors << kSectorShift,
                              family_.origin().size()));
}

// ---- Where chunks are

// Calls visit(chunk, stretch, is_done) for the stretches of `range`, in order.
template <typename Visit>
void Reverter::look_up(ByteRange range, const Visit& visit) const {
  exceptions_.look_up(
      chunk_size_.cover(range),
      [&](uint64_t chunk, ExceptionTable::Stretch stretch) {
        if (!stretch.excepted) return visit(chunk, stretch, true);
        while (stretch.count != 0) {
          const RevertMarks::Stretch mark =
              marks_->stretch_at(stretch.new_chunk, stretch.count);
          visit(chunk,
                ExceptionTable::Stretch{true, stretch.new_chunk, mark.count},
                mark.is_done);
          chunk += mark.count;
          stretch.new_chunk += mark.count;
          stretch.count -= mark.count;
        }
      });
}

std::vector<Reverter::Piece> Reverter::pieces_of(ByteRange range) const {
  std::vector<Piece> pieces;
  const ByteRange part = clipped(range);
  if (!part.empty()) {
    look_up(part, [&](uint64_t chunk, const ExceptionTable::Stretch& stretch,
                      bool is_done) {
      const ByteRange bytes = chunk_size_.bytes_of({chunk, stretch.count});
      const ByteRange mine = intersect(bytes, part);
      pieces.push_back({!is_done, mine,
                        chunk_size_.start_of(stretch.new_chunk) +
                            (mine.offset - bytes.offset)});
    });
  }
  if (part.length < range.length) {
    pieces.push_back(
        {false, {range.offset + part.length, range.length - part.length}, 0});
  }
  return pieces;
}

// The ticket comes first: whoever marks chunks that are still read on the COW
// afterwards waits for it.
void Reverter::read(BlockDevice& device, uint64_t offset,
                    std::span<std::byte> into) {
  const ReadTracker::Ticket ticket(cow_reads_, {offset, into.size()});
  for (const Piece& piece : pieces_of({offset, into.size()})) {
    auto bytes = into.subspan(piece.range.offset - offset, piece.range.length);
    if (piece.is_on_cow) {
      exceptions_.cow().read(piece.cow_offset, bytes);
    } else {
      device.read(piece.range.offset, bytes);
    }
  }
}

BlockDevice::Extent Reverter::extent_at(BlockDevice& device, ByteRange range) {
  const Piece piece = pieces_of(range).front();
  BlockDevice::Extent extent =
      piece.is_on_cow ? exceptions_.cow().extent_at(piece.cow_offset)
                      : device.extent_at(piece.range.offset);
  extent.length = std::min(extent.length, piece.range.length);
  return extent;
}

// ---- Steps

std::vector<ExceptionRun> Reverter::find_undone(ByteRange range,
                                                const StepLimit& limit) const {
  std::vector<ExceptionRun> runs;
  const ByteRange part = clipped(range);
  if (part.empty()) return runs;
  uint64_t left = std::max<uint64_t>(limit.bytes / chunk_size_.bytes(), 1);
  look_up(part, [&](uint64_t chunk, const ExceptionTable::Stretch& stretch,
                    bool is_done) {
    if (is_done || left == 0 || runs.size() >= limit.runs) return;
    const uint64_t count = std::min(stretch.count, left);
    runs.push_back({chunk, stretch.new_chunk, count});
    left -= count;
  });
  return runs;
}

bool Reverter::is_settled(ByteRange range) const {
  return find_undone(range, {1, 1}).empty();
}

void Reverter::settle(ByteRange range) {
  if (is_settled(range)) return;
  const Turn turn(*this);
  if (is_settled(range)) return;
  const ByteRange with_next{range.offset, std::max(range.length, kAheadBytes)};
  for (ByteRange wanted = with_next;;) {
    const std::vector<ExceptionRun> runs = find_undone(wanted, StepLimit());
    if (runs.empty()) return;
    revert(runs);
    // The rest of what was asked for, if that was more than a step.
    wanted = range;
  }
}

uint64_t Reverter::step(const StepLimit& limit) {
  try {
    const uint64_t bytes = try_step(limit);
    MutexLock lock(mutex_);
    failure_.clear();
    return bytes;
  } catch (const std::exception& error) {
    MutexLock lock(mutex_);
    failure_ = error.what();
    throw;
  }
}

uint64_t Reverter::try_step(const StepLimit& limit) {
  const Turn turn(*this);
  const uint64_t begin = chunk_size_.start_of(next_chunk_);
  const uint64_t end = clipped({0, ~uint64_t{0}}).end();
  std::vector<ExceptionRun> runs;
  if (begin < end) {
    runs = find_undone({begin, end - begin},
                       {limit.bytes, std::max<uint64_t>(limit.runs, 1)});
  }
  if (runs.empty()) {
    exceptions_.end_revert();
    is_finished_ = true;
    return 0;
  }
  revert(runs);
  uint64_t chunks = 0;
  for (const ExceptionRun& run : runs) chunks += run.count;
  next_chunk_ = runs.back().old_chunk + runs.back().count;
  return chunks * chunk_size_.bytes();
}

ByteRange Reverter::origin_range(const ExceptionRun& run) const {
  return clipped(chunk_size_.bytes_of({run.old_chunk, run.count}));
}

void Reverter::revert(const std::vector<ExceptionRun>& runs) {
  if (!exceptions_.has_revert_note()) {
    saying("The intent could not be noted: shutting down revert",
           [&] { exceptions_.note_revert(); });
  }
  std::vector<ByteRange> ranges;
  for (const ExceptionRun& run : runs) ranges.push_back(origin_range(run));
  DurableWrites& durable_writes = family_.durable_writes();
  const uint64_t failures = durable_writes.failures();
  family_.overwrite(ranges, [&] {
    for (const ExceptionRun& run : runs) copy(run);
  });
  saying("Flush after revert failed: shutting down revert",
         [&] { durable_writes.flush_copies(*origin_, failures); });
  saying("Write error in exception store: shutting down revert",
         [&] { exceptions_.mark_reverted(runs); });
  for (const ExceptionRun& run : runs) {
    cow_reads_.drain(chunk_size_.bytes_of({run.old_chunk, run.count}));
  }
}

void Reverter::copy(const ExceptionRun& run) {
  ByteRange left = origin_range(run);
  uint64_t from = chunk_size_.start_of(run.new_chunk);
  while (!left.empty()) {
    const ByteRange piece{left.offset, std::min(left.length, kPieceBytes)};
    ScratchBuffer buffer(piece.length);
    std::span<std::byte> bytes = buffer.bytes().first(piece.length);
    saying("Read error: shutting down revert",
           [&] { exceptions_.cow().read(from, bytes); });
    saying("Write error: shutting down revert",
           [&] { origin_->write(piece.offset, bytes); });
    from += piece.length;
    left = {piece.end(), left.length - piece.length};
  }
}

// ---- What is shown

const char* Reverter::phase() const {
  if (is_finished()) return "finished";
  if (!failure().empty()) return "failed";
  return is_paused_ ? "suspended" : "running";
}

std::string Reverter::details() const {
  const Progress now = progress();
  std::string text = std::string("revert: ") + phase() + "\n";
  text += "revert_to: " + snapshot_name() + "\n";
  text += "revert_total_chunks: " + std::to_string(now.total) + "\n";
  text += "revert_reverted_chunks: " + std::to_string(now.reverted) + "\n";
  text += "revert_rate: " + std::to_string(rate_.load()) + "\n";
  const std::string why = failure();
  if (!why.empty()) text += "reason: \"" + why + "\"\n";
  return text;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/record_log.h"

#include <algorithm>
#include <cassert>

#include "core/error.h"

namespace snapfs {
namespace {

// Areas are rewritten in pieces of this size, or whole where they are smaller:
// a page, so that writing a few records needs no read of the rest of a block.
constexpr uint64_t kMaxWindowBytes = 4096;

// Areas are read in pieces of this size; a chunk may be as large as 1 GiB.
constexpr uint64_t kReadBytes = uint64_t{1} << 20;

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

// The records of some runs, one after the other.
class RecordLog::RecordStream {
 public:
  explicit RecordStream(const std::vector<ExceptionRun>& runs)
      : run_(runs.begin()) {
    for (const ExceptionRun& run : runs) left_ += run.count;
  }

  uint64_t left() const { return left_; }

  DiskRecord next() {
    while (index_ == run_->count) {
      ++run_;
      index_ = 0;
    }
    DiskRecord record{run_->old_chunk + index_, run_->new_chunk + index_};
    ++index_;
    --left_;
    return record;
  }

 private:
  std::vector<ExceptionRun>::const_iterator run_;
  uint64_t index_ = 0;
  uint64_t left_ = 0;
};

RecordLog::RecordLog(BlockDevice& cow, StoreLayout layout)
    : cow_(cow),
      layout_(layout),
      window_(std::min(kMaxWindowBytes, layout.chunk_size().bytes())) {}

RecordLog RecordLog::create(BlockDevice& cow, StoreLayout layout) {
  RecordLog log(cow, layout);
  cow.zero(log.area_bytes(0));
  return log;
}

RecordLog RecordLog::load(BlockDevice& cow, StoreLayout layout,
                          const Sink& sink) {
  RecordLog log(cow, layout);
  for (uint64_t area = 0; log.load_area(area, sink); ++area) {
  }
  return log;
}

uint64_t RecordLog::window_start(uint64_t slot) const {
  return layout_.slot_offset(slot) & ~(window_.size() - 1);
}

ByteRange RecordLog::area_bytes(uint64_t area) const {
  return layout_.chunk_size().bytes_of({layout_.area_chunk(area), 1});
}

// True if the area is full, so that the log goes on in the next one.
bool RecordLog::load_area(uint64_t area, const Sink& sink) {
  ByteRange range = area_bytes(area);
  if (range.end() > cow_.size()) {
    throw std::system_error(Errc::bad_metadata,
                            cow_.name() + ": metadata area " +
                                std::to_string(area) + " (chunk " +
                                std::to_string(layout_.area_chunk(area)) +
                                ") lies beyond the end of the device");
  }
  std::vector<std::byte> piece(std::min(kReadBytes, range.length));
  bool ended = false;
  for (uint64_t offset = range.offset; offset < range.end();
       offset += piece.size()) {
    cow_.read(offset, piece);
    if (ended) {
      tail_is_dirty_ = tail_is_dirty_ || !all_zero(piece);
      continue;
    }
    for (uint64_t at = 0; at < piece.size(); at += kRecordBytes) {
      DiskRecord record =
          unpack_record(std::span(piece).subspan(at, kRecordBytes));
      if (record.new_chunk == 0) {
        tail_is_dirty_ = !all_zero(std::span(piece).subspan(at));
        ended = true;
        break;
      }
      sink(size_, record);
      ++size_;
    }
    if (ended) {
      // The records in front of the terminator in its window.
      uint64_t start = window_start(size_);
      uint64_t length = layout_.slot_offset(size_) - start;
      std::copy_n(piece.begin() + static_cast<std::ptrdiff_t>(start - offset),
                  length, window_.begin());
    }
  }
  return !ended;
}

void RecordLog::clean_tail() {
  if (!tail_is_dirty_) return;
  uint64_t start = window_start(size_);
  uint64_t window_end = start + window_.size();
  cow_.write(start, window_);
  uint64_t area_end = area_bytes(layout_.area_of_slot(size_)).end();
  if (window_end < area_end) cow_.zero({window_end, area_end - window_end});
  cow_.flush();
  tail_is_dirty_ = false;
}

// Takes the next records into their place in the windows from `slot` on.
RecordLog::Image RecordLog::take_records(RecordStream& records, uint64_t slot,
                                         uint64_t count) {
  Image image;
  image.offset = window_start(slot);
  uint64_t at = layout_.slot_offset(slot) - image.offset;
  uint64_t end = at + count * kRecordBytes;
  uint64_t window = window_.size();
  image.bytes.resize((end + window - 1) / window * window);
  if (at != 0) std::copy_n(window_.begin(), at, image.bytes.begin());
  for (; at != end; at += kRecordBytes) {
    pack_record(records.next(),
                std::span(image.bytes).subspan(at, kRecordBytes));
  }
  // What the next slot's window holds now.
  std::fill(window_.begin(), window_.end(), std::byte{0});
  uint64_t in_last = end % window;
  if (in_last != 0) {
    std::copy_n(image.bytes.end() - static_cast<std::ptrdiff_t>(window),
                in_last, window_.begin());
  }
  return image;
}

void RecordLog::append(const std::vector<ExceptionRun>& runs) {
  const std::vector<std::byte> window = window_;
  try {
    try_append(runs);
  } catch (...) {
    std::copy(window.begin(), window.end(), window_.begin());
    throw;
  }
}

void RecordLog::try_append(const std::vector<ExceptionRun>& runs) {
  RecordStream records(runs);
  last_window_start_ = 0;
  clean_tail();

  const uint64_t capacity = layout_.records_per_area();
  uint64_t slot = size_;
  uint64_t room = capacity - slot % capacity;
  uint64_t count = std::min(records.left(), room);
  Image first = take_records(records, slot, count);
  slot += count;
  bool area_is_full = count == room;
  while (area_is_full) {
    // The next area: the records that go on there, then zeroes.
    ByteRange area = area_bytes(layout_.area_of_slot(slot));
    count = std::min(records.left(), capacity);
    uint64_t written = 0;
    if (count != 0) {
      Image image = take_records(records, slot, count);
      cow_.write(image.offset, image.bytes);
      written = image.bytes.size();
    }
    if (written < area.length) {
      cow_.zero({area.offset + written, area.length - written});
    }
    slot += count;
    area_is_full = count == capacity;
  }
  cow_.flush();
  cow_.write_durable(first.offset, first.bytes);
  size_ = slot;
}

// What is read once is kept until it has been changed: a write that failed may
// have cleared records on the device that are still to be taken away here.
std::span<const std::byte> RecordLog::last_window() {
  const uint64_t start = window_start(size_ - 1);
  if (start == window_start(size_)) return window_;
  if (start != last_window_start_) {
    std::vector<std::byte> image(window_.size());
    cow_.read(start, image);
    last_window_ = std::move(image);
    last_window_start_ = start;
  }
  return last_window_;
}

std::vector<DiskRecord> RecordLog::tail(uint64_t limit) {
  std::vector<DiskRecord> records;
  if (size_ == 0) return records;
  std::span<const std::byte> image = last_window();
  const uint64_t start = window_start(size_ - 1);
  const uint64_t end = layout_.slot_offset(size_ - 1) + kRecordBytes - start;
  const uint64_t count = std::min(limit, end / kRecordBytes);
  for (uint64_t left = count; left != 0; --left) {
    DiskRecord record =
        unpack_record(image.subspan(end - left * kRecordBytes, kRecordBytes));
    if (layout_.is_metadata_chunk(record.new_chunk)) {
      throw std::system_error(Errc::bad_metadata,
                              cow_.name() + ": record " +
                                  std::to_string(size_ - left) +
                                  " is not on the device any more");
    }
    records.push_back(record);
  }
  return records;
}

void RecordLog::truncate(uint64_t count) {
  assert(count <= size_);
  if (count == 0) return;
  const uint64_t start = window_start(size_ - 1);
  std::span<const std::byte> old = last_window();
  std::vector<std::byte> image(old.begin(), old.end());
  const uint64_t at = layout_.slot_offset(size_ - count) - start;
  std::fill(image.begin() + static_cast<std::ptrdiff_t>(at), image.end(),
            std::byte{0});
  clean_tail();
  cow_.write_durable(start, image);
  size_ -= count;
  window_ = std::move(image);
  last_window_start_ = 0;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/store_repair.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <vector>

#include "core/store_writer.h"

namespace snapfs {
namespace {

constexpr uint64_t kCopyBytes = uint64_t{1} << 20;

bool is_sound(uint64_t slot, const DiskRecord& record,
              const StoreCheck& check) {
  return !fault_of(slot, record, *check.bounds) &&
         !check.records.is_repeated(slot);
}

HeaderSector new_header(StoreLayout layout, bool marked_valid) {
  HeaderSector sector;
  DiskHeader header;
  header.valid = marked_valid ? 1 : 0;
  header.chunk_sectors = static_cast<uint32_t>(layout.chunk_size().sectors());
  pack_header(header, sector.bytes);
  return sector;
}

// Copies data chunks, consecutive ones together.
class Copier {
 public:
  Copier(BlockDevice& from, const StoreCheck& check, BlockDevice& to,
         bool reads_as_zero, const FindingSink& sink,
         const CopyProgress& progress)
      : from_(from),
        to_(to),
        layout_(check.bounds->layout),
        chunk_(layout_.chunk_size()),
        reads_as_zero_(reads_as_zero),
        sink_(sink),
        progress_(progress),
        total_(check.records.sound * chunk_.bytes()),
        buffer_(kCopyBytes),
        writer_(to, layout_) {}

  RepairResult run(const StoreCheck& check, bool marked_valid) {
    writer_.begin();
    to_.zero({kSectorBytes, chunk_.bytes() - kSectorBytes});
    scan_log(
        from_, layout_,
        [&](uint64_t slot, const DiskRecord& record) {
          if (is_sound(slot, record, check)) take(slot, record);
        },
        nullptr);
    copy_run();
    to_.flush();
    writer_.finish(new_header(layout_, marked_valid));
    result_.kept = writer_.records();
    return result_;
  }

 private:
  struct Item {
    uint64_t slot;
    DiskRecord record;
  };

  void take(uint64_t slot, const DiskRecord& record) {
    const bool goes_on = !run_.empty() &&
                         run_.back().record.new_chunk + 1 == record.new_chunk &&
                         run_.size() < kCopyBytes / chunk_.bytes();
    if (!goes_on) copy_run();
    run_.push_back({slot, record});
  }

  void copy_run() {
    if (run_.empty()) return;
    const uint64_t bytes = run_.size() * chunk_.bytes();
    if (bytes <= buffer_.size() && read_together(bytes)) {
      for (std::size_t i = 0; i < run_.size(); ++i) {
        write_piece(
            next_chunk(), 0,
            std::span(buffer_).subspan(i * chunk_.bytes(), chunk_.bytes()));
        writer_.append({run_[i].record.old_chunk, next_chunk()});
      }
    } else {
      for (const Item& item : run_) copy_chunk(item);
    }
    done_ += bytes;
    run_.clear();
    if (progress_) progress_(done_, total_);
  }

  bool read_together(uint64_t bytes) {
    try {
      from_.read(chunk_.start_of(run_.front().record.new_chunk),
                 std::span(buffer_).first(bytes));
      return true;
    } catch (const std::system_error&) {
      return false;  // One by one, then, to know which.
    }
  }

  void copy_chunk(const Item& item) {
    const uint64_t start = chunk_.start_of(item.record.new_chunk);
    const uint64_t step = std::min<uint64_t>(chunk_.bytes(), buffer_.size());
    const auto piece = std::span(buffer_).first(step);
    for (uint64_t at = 0; at < chunk_.bytes(); at += step) {
      try {
        from_.read(start + at, piece);
      } catch (const std::system_error& error) {
        ++result_.unreadable;
        // What has been copied of it is overwritten by the next one, or free.
        sink_({Finding::Kind::unreadable, start + at, item.slot, error.what()});
        return;
      }
      write_piece(next_chunk(), at, piece);
      if (progress_) progress_(done_ + at, total_);
    }
    writer_.append({item.record.old_chunk, next_chunk()});
  }

  // Where the data of the next record goes.
  uint64_t next_chunk() const {
    const uint64_t slot = writer_.records();
    return layout_.area_chunk(layout_.area_of_slot(slot)) + 1 +
           slot % layout_.records_per_area();
  }

  void write_piece(uint64_t chunk, uint64_t at,
                   std::span<const std::byte> piece) {
    // A chunk that turned out unreadable may have left something there.
    const bool may_skip = reads_as_zero_ && result_.unreadable == 0;
    if (may_skip && std::all_of(piece.begin(), piece.end(), [](std::byte b) {
          return b == std::byte{0};
        })) {
      return;
    }
    to_.write(chunk_.start_of(chunk) + at, piece);
  }

  BlockDevice& from_;
  BlockDevice& to_;
  const StoreLayout layout_;
  const ChunkSize chunk_;
  const bool reads_as_zero_;
  const FindingSink& sink_;
  const CopyProgress& progress_;
  const uint64_t total_;
  std::vector<std::byte> buffer_;
  StoreWriter writer_;
  uint64_t done_ = 0;
  std::vector<Item> run_;
  RepairResult result_;
};

}  // namespace

uint64_t repaired_bytes(const StoreCheck& check) {
  const StoreLayout layout = check.bounds->layout;
  const uint64_t records = check.records.sound;
  uint64_t data_end = 0;
  if (records != 0) {
    const uint64_t slot = records - 1;
    data_end = layout.area_chunk(layout.area_of_slot(slot)) + 2 +
               slot % layout.records_per_area();
  }
  return StoreWriter::needed_bytes(layout, records, data_end);
}

RepairResult repair_to(BlockDevice& from, const StoreCheck& check,
                       bool marked_valid, BlockDevice& to, bool reads_as_zero,
                       const FindingSink& sink, const CopyProgress& progress) {
  return Copier(from, check, to, reads_as_zero, sink, progress)
      .run(check, marked_valid);
}

RepairResult repair_in_place(BlockDevice& cow, const StoreCheck& check,
                             bool marked_valid) {
  const StoreLayout layout = check.bounds->layout;
  const uint64_t needed =
      StoreWriter::needed_bytes(layout, check.records.sound, 0);
  if (needed > cow.size()) cow.grow(needed);
  StoreWriter writer(cow, layout);
  writer.begin();
  scan_log(
      cow, layout,
      [&](uint64_t slot, const DiskRecord& record) {
        if (is_sound(slot, record, check)) writer.append(record);
      },
      nullptr);
  writer.finish(new_header(layout, marked_valid));
  return {writer.records(), 0};
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/store_scan.h"

#include <algorithm>
#include <span>
#include <system_error>
#include <vector>

namespace snapfs {
namespace {

constexpr uint64_t kReadBytes = uint64_t{1} << 20;

// Reads the log area by area, in pieces: a chunk may be as large as 1 GiB.
class LogScan {
 public:
  LogScan(BlockDevice& cow, StoreLayout layout, const RecordSink& record,
          const RecordSink& behind)
      : cow_(cow),
        layout_(layout),
        record_(record),
        behind_(behind),
        piece_(std::min(kReadBytes, layout.chunk_size().bytes())) {}

  LogEnd run() {
    for (uint64_t area = 0; !ended_; ++area) read_area(area);
    return std::move(end_);
  }

 private:
  void read_area(uint64_t area) {
    const ByteRange range =
        layout_.chunk_size().bytes_of({layout_.area_chunk(area), 1});
    if (range.end() > cow_.size()) {
      return end_at(LogEnd::Kind::beyond_device, range.offset);
    }
    for (uint64_t offset = range.offset; offset < range.end();
         offset += piece_.size()) {
      try {
        cow_.read(offset, piece_);
      } catch (const std::system_error& error) {
        // What is behind an end that was found matters to nobody.
        if (ended_) return;
        end_.error = error.what();
        return end_at(LogEnd::Kind::unreadable, offset);
      }
      take_piece(offset);
    }
  }

  void take_piece(uint64_t offset) {
    for (uint64_t at = 0; at < piece_.size(); at += kRecordBytes) {
      const DiskRecord record =
          unpack_record(std::span(piece_).subspan(at, kRecordBytes));
      if (!ended_ && record.new_chunk == 0) {
        end_at(LogEnd::Kind::found, offset + at);
      }
      if (!ended_) {
        if (record_) record_(slot_, record);
      } else if (record.old_chunk != 0 || record.new_chunk != 0) {
        ++end_.behind;
        if (behind_) behind_(slot_, record);
      }
      ++slot_;
    }
  }

  void end_at(LogEnd::Kind kind, uint64_t offset) {
    ended_ = true;
    end_.kind = kind;
    end_.slot = slot_;
    end_.offset = offset;
  }

  BlockDevice& cow_;
  const StoreLayout layout_;
  const RecordSink& record_;
  const RecordSink& behind_;
  std::vector<std::byte> piece_;
  uint64_t slot_ = 0;
  bool ended_ = false;
  LogEnd end_;
};

}  // namespace

bool HeaderSector::has_more() const {
  return std::any_of(bytes.begin() + kHeaderBytes, bytes.end(),
                     [](std::byte b) { return b != std::byte{0}; });
}

std::optional<HeaderSector> read_header_sector(BlockDevice& cow) {
  HeaderSector sector;
  if (cow.size() < sector.bytes.size()) return std::nullopt;
  cow.read(0, sector.bytes);
  return sector;
}

LogEnd scan_log(BlockDevice& cow, StoreLayout layout, const RecordSink& record,
                const RecordSink& behind) {
  return LogScan(cow, layout, record, behind).run();
}

}  // namespace snapfs

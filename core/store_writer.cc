// SPDX-License-Identifier: MIT
#include "core/store_writer.h"

#include <algorithm>
#include <cassert>

namespace snapfs {
namespace {

// Areas are written in pieces of this size, or whole where they are smaller.
constexpr uint64_t kMaxWindowBytes = uint64_t{64} << 10;

// Both the kernel and snapfs refuse it, and neither takes it for a new device.
constexpr uint32_t kNoVersion = 0;

}  // namespace

StoreWriter::StoreWriter(BlockDevice& cow, StoreLayout layout)
    : cow_(cow),
      layout_(layout),
      window_(std::min(kMaxWindowBytes, layout.chunk_size().bytes())),
      at_(window_start(0)) {}

uint64_t StoreWriter::needed_bytes(StoreLayout layout, uint64_t records,
                                   uint64_t new_end) {
  const uint64_t last_area = layout.area_chunk(layout.area_of_slot(records));
  return layout.chunk_size().start_of(std::max(last_area + 1, new_end));
}

void StoreWriter::begin() {
  HeaderSector sector;
  DiskHeader header;
  header.version = kNoVersion;
  header.valid = 0;
  header.chunk_sectors = static_cast<uint32_t>(layout_.chunk_size().sectors());
  pack_header(header, sector.bytes);
  cow_.write_durable(0, sector.bytes);
}

void StoreWriter::append(const DiskRecord& record) {
  put(records_, record);
  ++records_;
}

void StoreWriter::append_behind(uint64_t slot, const DiskRecord& record) {
  assert(slot >= records_);
  assert(layout_.area_of_slot(slot) == layout_.area_of_slot(records_));
  put(slot, record);
}

void StoreWriter::finish(const HeaderSector& header) {
  // The record that ends the log may be the first of a window.
  const uint64_t end = window_start(records_);
  if (at_ < end) move_to(end);
  cow_.write(at_, window_);
  const uint64_t window_end = at_ + window_.size();
  const uint64_t area_end = area_of(records_).end();
  if (window_end < area_end) cow_.zero({window_end, area_end - window_end});
  cow_.flush();
  cow_.write_durable(0, header.bytes);
}

uint64_t StoreWriter::window_start(uint64_t slot) const {
  return layout_.slot_offset(slot) & ~(window_.size() - 1);
}

ByteRange StoreWriter::area_of(uint64_t slot) const {
  return layout_.chunk_size().bytes_of(
      {layout_.area_chunk(layout_.area_of_slot(slot)), 1});
}

void StoreWriter::put(uint64_t slot, const DiskRecord& record) {
  const uint64_t start = window_start(slot);
  if (start != at_) {
    const uint64_t begin = std::max(at_ + window_.size(), area_of(slot).offset);
    move_to(start);
    if (begin < start) cow_.zero({begin, start - begin});
  }
  pack_record(record, std::span(window_).subspan(
                          layout_.slot_offset(slot) - start, kRecordBytes));
}

void StoreWriter::move_to(uint64_t start) {
  cow_.write(at_, window_);
  std::fill(window_.begin(), window_.end(), std::byte{0});
  at_ = start;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A store put together record by record, for tests that read stores: any
// record may be anything.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/disk_format.h"
#include "tests/support/memory_device.h"
#include "tests/support/pattern.h"

namespace snapfs::test {

class PlainStore {
 public:
  PlainStore(uint64_t chunk_sectors, uint64_t cow_chunks)
      : layout_(ChunkSize(chunk_sectors)),
        device_(std::make_shared<MemoryDevice>(
            layout_.chunk_size().start_of(cow_chunks), "cow")) {
    DiskHeader header;
    header.chunk_sectors = static_cast<uint32_t>(chunk_sectors);
    put_header(header);
  }

  StoreLayout layout() const { return layout_; }
  MemoryDevice& device() { return *device_; }
  std::shared_ptr<MemoryDevice> shared() { return device_; }
  uint64_t records() const { return records_; }

  void put_header(const DiskHeader& header) {
    std::vector<std::byte> bytes(kHeaderBytes);
    pack_header(header, bytes);
    device_->write(0, bytes);
  }
  void put(uint64_t slot, const DiskRecord& record) {
    std::vector<std::byte> bytes(kRecordBytes);
    pack_record(record, bytes);
    device_->write(layout_.slot_offset(slot), bytes);
  }
  void add(const DiskRecord& record) { put(records_++, record); }

  // The chunk that the data of a slot has in a store without gaps.
  uint64_t data_chunk(uint64_t slot) const {
    return slot + 2 + slot / layout_.records_per_area();
  }
  // So many sound records, whose old chunks are 3, 5, 7, ..., and whose data is
  // stamped with the old chunk.
  void add_sound(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      const DiskRecord record{3 + 2 * records_, data_chunk(records_)};
      stamp_data(record);
      add(record);
    }
  }
  // The same without their data.
  void add_records(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i)
      add({3 + 2 * records_, data_chunk(records_)});
  }
  void stamp_data(const DiskRecord& record) {
    const ChunkSize chunk = layout_.chunk_size();
    device_->write(chunk.start_of(record.new_chunk),
                   stamped(record.old_chunk, chunk.sectors(), 7));
  }

 private:
  const StoreLayout layout_;
  const std::shared_ptr<MemoryDevice> device_;
  uint64_t records_ = 0;
};

}  // namespace snapfs::test

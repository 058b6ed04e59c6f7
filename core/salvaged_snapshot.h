// SPDX-License-Identifier: MIT
//
// What is left of an invalid snapshot, to be read. Chunks that have a record on
// the COW are as the snapshot had them. The others are the origin as it is now,
// and right where that has not been written since: if this mount has seen the
// snapshot become invalid it knows where, and otherwise trusts none of them.
// Nothing is written to the COW. The target "snapshot-salvage", which dm does
// not have. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/exception_store.h"
#include "core/exception_table.h"
#include "core/family.h"
#include "core/target.h"
#include "core/written_ranges.h"

namespace snapfs {

class SalvagedSnapshot : public Target {
 public:
  struct Options {
    uint64_t length = 0;  // bytes
    ChunkSize chunk_size{1};
    StoreUsage usage;
    std::string origin_name;  // as a table line prints them
    std::string cow_name;
  };

  // `recorded` holds what the records say. `written`: where the origin is not
  // what the snapshot showed there; null: nobody knows.
  SalvagedSnapshot(std::shared_ptr<Family> family,
                   std::shared_ptr<BlockDevice> cow, ExceptionTable recorded,
                   std::shared_ptr<WrittenRanges> written, Options options);

  // May be null.
  const std::shared_ptr<WrittenRanges>& written() const { return written_; }

  // Ascending, and none touches another. A range is listed before its content
  // changes: what was read, and is not listed afterwards, is right.
  std::vector<ByteRange> untrusted() const;

  uint64_t size() const override { return options_.length; }
  bool read_only() const override { return true; }
  void read(uint64_t offset, std::span<std::byte> into) override;
  void write(uint64_t offset, std::span<const std::byte> from) override;
  void zero(ByteRange range) override;
  void discard(ByteRange range) override;
  void flush() override {}
  BlockDevice::Extent extent_at(uint64_t offset) override;
  uint64_t allocated_sectors() const override;
  std::string status_line() const override;
  std::string table_line() const override;
  std::string details() const override;
  std::vector<Measure> measures() const override;

 private:
  struct Piece;
  struct Total {
    uint64_t bytes = 0;
    uint64_t ranges = 0;
  };

  Piece piece_at(ByteRange range) const;
  Total total() const;
  template <typename Take>
  void for_each_unrecorded(ByteRange range, const Take& take) const;

  const std::shared_ptr<Family> family_;
  const std::shared_ptr<BlockDevice> cow_;
  const ExceptionTable recorded_;
  const std::shared_ptr<WrittenRanges> written_;
  const Options options_;
  // Without written_ this is for good, and costs a walk through the table.
  const Total total_of_unknown_;
};

}  // namespace snapfs

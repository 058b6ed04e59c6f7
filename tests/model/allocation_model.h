// SPDX-License-Identifier: MIT
//
// Where a store of the format puts its exceptions, as the format says it and
// no store does it. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "core/table.h"

namespace snapfs::test {

class AllocationModel {
 public:
  AllocationModel(StoreType type, uint64_t chunk_sectors, uint64_t cow_sectors)
      : type_(type),
        chunk_(chunk_sectors),
        chunks_(cow_sectors / chunk_sectors),
        total_(cow_sectors),
        next_free_(type == StoreType::transient ? 0 : 2) {}

  bool allocate(uint64_t count) {
    AllocationModel after = *this;
    for (uint64_t i = 0; i < count; ++i) {
      if (!after.allocate_one()) return false;
    }
    *this = after;
    return true;
  }

  // The device has another size now.
  void resize(uint64_t cow_sectors) {
    chunks_ = cow_sectors / chunk_;
    total_ = cow_sectors;
  }
  uint64_t cow_sectors() const { return total_; }

  std::string usage() const {
    uint64_t metadata = type_ == StoreType::transient
                            ? 0
                            : (records_ / per_area() + 2) * chunk_;
    return std::to_string(next_free_ * chunk_) + "/" + std::to_string(total_) +
           " " + std::to_string(metadata);
  }

  bool has_room_for(uint64_t count) const {
    return (next_free_ + count) * chunk_ <= total_;
  }

 private:
  uint64_t per_area() const { return chunk_ * 32; }

  bool allocate_one() {
    if (next_free_ >= chunks_) return false;
    ++next_free_;
    if (type_ == StoreType::transient) return true;
    uint64_t stride = per_area() + 1;
    if (next_free_ % stride == 1) ++next_free_;
    ++records_;
    // The slot that fills an area is of use only if the next area exists.
    return records_ % per_area() != 0 ||
           1 + stride * (records_ / per_area()) < chunks_;
  }

  StoreType type_;
  uint64_t chunk_;
  uint64_t chunks_;
  uint64_t total_;
  uint64_t next_free_;
  uint64_t records_ = 0;
};

}  // namespace snapfs::test

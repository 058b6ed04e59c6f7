// SPDX-License-Identifier: MIT
//
// The world in which an origin becomes, again and again, what a snapshot of it
// shows: `base`, the COW of `s`, and two snapshots that must not notice.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/parked_thread.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {

class StressedOrigin {
 protected:
  static constexpr uint64_t kSectors = 4096;
  static constexpr unsigned kWriters = 3;

  explicit StressedOrigin(uint64_t seed) : random_(seed) {
    origin_ = opener_.add("origin", kSectors * kSectorBytes);
    stamp_device(*origin_, {0, kSectors * kSectorBytes}, 1);
    for (const char* cow : {"s", "large", "small"}) {
      opener_.add(cow, 8 * kSectors * kSectorBytes);
    }
    set_.load({origin_table("base", "origin"), snapshot("large", 64),
               snapshot("small", 2)});
    set_.start_merging();
  }

  static Table snapshot(const std::string& name, uint64_t chunk) {
    return snapshot_table(name, "base", name, StoreType::persistent, chunk);
  }

  void write(const std::string& name, uint64_t first, uint64_t count,
             uint64_t generation) {
    std::shared_ptr<Device> device = set_.find(name);
    Admission::Pass pass = enter(*device);
    device->live()->write(first * kSectorBytes,
                          stamped(first, count, generation));
  }

  // The generation of a sector.
  uint64_t read_one(const std::string& name, uint64_t sector) {
    std::vector<std::byte> data(kSectorBytes);
    std::shared_ptr<Device> device = set_.find(name);
    Admission::Pass pass = enter(*device);
    device->live()->read(sector * kSectorBytes, data);
    const uint64_t generation = load_little_endian(data) >> kGenerationShift;
    EXPECT_EQ(stamp_difference(data, sector, generation), "");
    return generation;
  }

  std::vector<std::byte> content(const std::string& name) {
    std::vector<std::byte> data(kSectors * kSectorBytes);
    set_.find(name)->live()->read(0, data);
    return data;
  }

  // `wanted`: the generation of each sector.
  void expect(const std::string& name, const std::vector<uint64_t>& wanted) {
    const std::vector<std::byte> data = content(name);
    for (uint64_t sector = 0; sector < kSectors; ++sector) {
      auto bytes = std::span(data).subspan(sector * kSectorBytes, kSectorBytes);
      ASSERT_EQ(stamp_difference(bytes, sector, wanted[sector]), "") << name;
    }
  }

  std::mt19937_64 random_;
  MemoryOpener opener_;
  std::shared_ptr<MemoryDevice> origin_;
  EventRecorder events_;
  DeviceSet set_{opener_, events_};
};

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "tests/faults/workloads.h"

#include <chrono>

#include "core/no_room_yet.h"

namespace snapfs::test {
namespace {

// E: records in an area of chunks of one sector.
constexpr uint64_t kPerArea = 32;

void nothing(FaultyWorld&) {}

// Chunks of one sector, and of four.
void two_snapshots(FaultyWorld& world) {
  world.add_cow("cow1", 400);
  world.add_cow("cow2", 400);
  world.snapshot("s1", "cow1");
  world.snapshot("s2", "cow2", {.chunk_sectors = 4});
}

void one_snapshot(FaultyWorld& world) {
  world.add_cow("cow1", 400);
  world.snapshot("s1", "cow1");
}

void read_all(FaultyWorld& world) {
  world.read("base");
  for (const std::string& name : world.snapshots()) world.read(name);
}

void origin_writes(FaultyWorld& world) {
  world.write("base", 3, 6);
  world.flush("base");
  world.write("base", 5, 9);
  world.write("base", 40, 2);
  read_all(world);
  world.flush("base");
}

void snapshot_writes(FaultyWorld& world) {
  world.write("s1", 3, 5);
  world.write("s2", 6, 3);
  world.flush("s1");
  world.write("s1", 4, 2);
  world.write("s2", 6, 8);
  world.flush("s2");
  world.flush("s1");
  read_all(world);
}

// The origin overwrites what snapshots have not committed yet.
void mixed_writes(FaultyWorld& world) {
  world.write("s1", 3, 5);
  world.write("base", 2, 4);
  world.write("s2", 3, 2);
  world.write("base", 0, 8);
  world.flush("s1");
  world.flush("base");
  read_all(world);
}

void nearly_full_area(FaultyWorld& world) {
  one_snapshot(world);
  world.write("s1", 0, kPerArea - 2);
  world.flush("s1");
}

void area_crossing(FaultyWorld& world) {
  world.write("s1", 50, 5);
  world.flush("s1");
  world.write("base", 60, 40);
  world.write("base", 110, kPerArea);
  world.flush("base");
  world.flush("s1");
  read_all(world);
}

// Many records for one commit.
void group_commit(FaultyWorld& world) {
  for (uint64_t i = 0; i != 6; ++i) {
    world.write("s1", 20 * i, 1 + i);
    world.write("s2", 20 * i + 7, 2);
  }
  world.write("base", 0, 30);
  world.flush("s1");
  world.flush("s2");
  read_all(world);
}

void discarding(FaultyWorld& world) {
  world.add_cow("cow1", 400);
  world.add_cow("cow2", 400);
  world.add_cow("cow3", 400);
  world.snapshot("s1", "cow1", {.discards = true});
  world.snapshot("s2", "cow2",
                 {.chunk_sectors = 4, .discards = true, .passes_down = true});
  world.snapshot("s3", "cow3");
  world.write("s1", 3, 5);
  world.write("s2", 3, 5);
}

void discards(FaultyWorld& world) {
  world.discard("s1", 0, 20);
  world.discard("s2", 4, 8);
  world.flush("s1");
  world.flush("s2");
  world.flush("base");
  read_all(world);
}

void handing_over(FaultyWorld& world) {
  two_snapshots(world);
  world.write("s1", 3, 5);
}

void handover(FaultyWorld& world) {
  if (world.hand_over("s1", "t1")) world.write("t1", 10, 4);
  world.write("base", 0, 14);
  if (world.has("s2") && world.hand_over("s2", "s2")) world.write("s2", 20, 3);
  for (const std::string& name : world.snapshots()) world.flush(name);
  read_all(world);
}

void suspend_and_resume(FaultyWorld& world) {
  world.write("s1", 10, 4);
  world.write("base", 10, 4);
  for (const char* name : {"s1", "base"}) {
    if (world.suspend(name)) world.resume(name);
  }
  world.write("base", 12, 4);
  read_all(world);
  world.flush("base");
}

void two_devices(FaultyWorld& world) {
  world.add_cow("cow1", 400);
  world.add_cow("cow2", 400);
  world.write("base", 7, 3);
}

// New stores.
void load(FaultyWorld& world) {
  world.write("base", 1, 5);
  world.snapshot("s1", "cow1");
  world.write("base", 3, 5);
  world.snapshot("s2", "cow2", {.chunk_sectors = 4});
  world.write("base", 2, 5);
  world.flush("base");
  read_all(world);
}

// Of what was removed.
void used_stores(FaultyWorld& world) {
  two_snapshots(world);
  world.write("s1", 3, 40);
  world.write("s2", 3, 5);
  world.flush("s1");
  world.flush("s2");
}

void remove(FaultyWorld& world) {
  world.write("s1", 0, 3);
  world.remove("s1");
  world.write("base", 0, 14);
  world.remove("s2");
  world.flush("base");
  read_all(world);
}

void merging(FaultyWorld& world) {
  two_snapshots(world);
  world.write("s1", 3, 5);
  world.write("s1", 20, 3);
  world.write("s1", 60, 2);
  world.write("base", 22, 4);
}

void merge(FaultyWorld& world) {
  world.begin_merge("s1");
  for (unsigned i = 0; i != 6; ++i) {
    world.merge_step();
    world.write("base", 19 + i, 2);
    if (i == 3) world.flush("base");
  }
  world.write("s2", 4, 3);
  world.flush("base");
  read_all(world);
  while (world.merge_step()) {
  }
  world.flush("base");
}

constexpr uint64_t kSmall = 12;  // sectors

void growing(FaultyWorld& world) {
  world.add_cow("cow1", kSmall);
  world.set_filesystem("cow1", uint64_t{1} << 30);
  WhenFull when_full;
  when_full.grow = {4 * kSectorBytes, 100 * kSectorBytes};
  world.snapshot("s1", "cow1", {.when_full = when_full});
}

void growth(FaultyWorld& world) {
  world.write("s1", 0, 6);
  world.write("base", 10, 12);
  world.write("s1", 30, 20);
  world.flush("s1");
  world.flush("base");
  read_all(world);
}

void waiting(FaultyWorld& world) {
  world.add_cow("cow1", kSmall);
  world.add_cow("cow2", 400);
  WhenFull when_full;
  when_full.wait = std::chrono::hours(1);
  world.snapshot("s1", "cow1", {.when_full = when_full});
  world.snapshot("s2", "cow2");
}

// A write that waits goes through as soon as there is room, or fails.
void write_with_room(FaultyWorld& world, const std::string& name,
                     uint64_t first, uint64_t count) {
  for (unsigned tries = 0;; ++tries) {
    try {
      world.write(name, first, count);
      return;
    } catch (const NoRoomYet&) {
      if (tries == 3) world.heal();
      if (tries == 6) throw Violation("it waits though there is room");
      world.grow_cow("cow1", count + 40);
    }
  }
}

void wait_for_room(FaultyWorld& world) {
  write_with_room(world, "s1", 0, 14);
  write_with_room(world, "base", 20, 40);
  world.flush("s1");
  world.flush("base");
  read_all(world);
}

void small_stores(FaultyWorld& world) {
  world.add_cow("cow1", kSmall);
  world.add_cow("cow2", kSmall);
  world.add_cow("cow3", kSmall);
  world.snapshot("s1", "cow1");
  world.snapshot("s2", "cow2", {.type = StoreType::persistent_overflow});
  WhenFull when_full;
  when_full.refuse_origin = true;
  world.snapshot("s3", "cow3", {.when_full = when_full});
}

// Without a fault the first one becomes invalid, the second overflows, and the
// third stands in the way.
void full_stores(FaultyWorld& world) {
  world.write_when_full("s3", 0, 14);
  world.write_when_full("s2", 0, 14);
  world.write_when_full("base", 20, 14);
  world.remove("s3");
  world.write_when_full("base", 20, 14);
  world.flush("base");
  read_all(world);
}

}  // namespace

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all = {
      {"origin_writes", two_snapshots, origin_writes},
      {"origin_alone", nothing, origin_writes},
      {"snapshot_writes", two_snapshots, snapshot_writes},
      {"mixed_writes", two_snapshots, mixed_writes},
      {"area_crossing", nearly_full_area, area_crossing},
      {"group_commit", two_snapshots, group_commit},
      {"discards", discarding, discards},
      {"handover", handing_over, handover},
      {"suspend", handing_over, suspend_and_resume},
      {"load", two_devices, load},
      {"remove", used_stores, remove},
      {"merge", merging, merge},
      {"growth", growing, growth},
      {"wait_for_room", waiting, wait_for_room},
      {"full_stores", small_stores, full_stores},
  };
  return all;
}

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Writes of origins and snapshots, and how they share commits.
#include "core/chunk.h"
#include "tests/powercut/workloads.h"

namespace snapfs::test {
namespace {

void remount(World& world) {
  world.close();
  world.open();
}

void plain_writes(World& world) {
  world.open();
  world.watch(true);
  world.write("base", 0, 3);
  world.flush("base");
  world.write("base", 5, 2);
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 4, 4);
  world.write("base", 0, 2);
  world.take("t", {.cow = 2, .chunk_sectors = 4});
  world.flush("base");
  world.write("base", 1, 1);
  world.zero("base", 13, 3);
  remount(world);
  world.write("base", 3, 8);
  world.flush("base");
  world.write("base", 15, 1);
}

void snapshot_writes(World& world) {
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 2});
  world.write("s", 3, 2);
  world.write("s", 10, 1);
  world.flush("s");
  world.write("s", 3, 1);
  world.flush("s");
  world.write("base", 2, 3);
  world.write("s", 20, 2);
  world.write("base", 20, 2);
  world.write("s", 7, 5);
  world.zero("s", 14, 3);
  world.write("base", 14, 1);
  remount(world);
  world.write("s", 0, 2);
  world.write("s", 20, 1);
  world.flush("s");
  world.write("base", 0, 1);
}

void two_snapshots(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.take("t", {.cow = 2, .chunk_sectors = 2});
  world.write("base", 1, 3);
  world.write("t", 4, 3);
  world.write("s", 5, 1);
  world.write("base", 4, 4);
  world.flush("t");
  world.take("u", {.cow = 3, .chunk_sectors = 1});
  world.write("u", 2, 1);
  world.write("base", 0, 9);
  world.flush("s");
}

// 32 records fill an area of one sector.
void area_crossing(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 0, 30);
  world.write("base", 40, 4);
  world.write("s", 50, 1);
  world.write("s", 52, 1);
  world.write("s", 54, 3);
  world.flush("s");
  world.write("base", 60, 25);
  world.write("base", 86, 1);
  world.write("base", 90, 3);
}

void area_filled_exactly(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 0, 31);
  world.write("base", 31, 1);
  remount(world);
  world.write("base", 32, 32);
  world.write("s", 70, 2);
  remount(world);
}

void areas_in_one_commit(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 0, 20);
  for (uint64_t sector = 20; sector < 100; sector += 3) {
    world.write("s", sector, 2);
  }
  world.write("base", 22, 1);
  world.flush("s");
}

// Areas of two sectors, which can be torn in the middle.
void torn_areas(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 2});
  world.write("base", 0, 50);
  world.flush("base");
  world.write("s", 60, 24);
  world.write("base", 66, 8);
  world.flush("base");
  world.write("base", 84, 4);
  world.flush("base");
  world.flush("s");
  world.write("base", 92, 30);
  world.write("s", 130, 4);
  world.flush("s");
}

// Where chunks are larger than a page, the records are written in windows of
// one: here an area is two of them, of 256 records each.
void windows(World& world) {
  constexpr uint64_t kChunk = 16;
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = kChunk});
  world.write("base", 0, 250 * kChunk);
  world.flush("base");
  world.cuts_begin_here();
  world.write("s", 252 * kChunk, 5);
  world.write("s", 254 * kChunk, 7 * kChunk);
  world.write("base", 262 * kChunk, 3);
  world.flush("base");
  world.write("s", 266 * kChunk, 1);
  world.flush("s");
}

void windows_merged(World& world) {
  constexpr uint64_t kChunk = 16;
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = kChunk});
  world.write("s", 0, 260 * kChunk);
  world.merge("s");
  world.cuts_begin_here();
  world.merge_step({3 * kChunk * kSectorBytes, 4});
  world.write("base", 258 * kChunk, 2);
  world.flush("base");
  world.merge_step({8 * kChunk * kSectorBytes, 4});
  world.write("base", 250 * kChunk, 3);
  world.flush("base");
  world.merge_step({8 * kChunk * kSectorBytes, 4});
}

void group_commit(World& world) {
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.take("t", {.cow = 2, .chunk_sectors = 2});
  for (uint64_t i = 0; i < 6; ++i) world.write("s", 3 * i, 2);
  world.write("t", 1, 2);
  world.flush("s");
  world.write("t", 9, 2);
  for (uint64_t i = 0; i < 4; ++i) world.write("s", 18 + 2 * i, 1);
  world.flush("t");
  world.flush("s");
  world.write("base", 0, 12);
}

void discard(World& world) {
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 2, .discards = true});
  world.take("t", {.cow = 2,
                   .chunk_sectors = 1,
                   .discards = true,
                   .passes_discards_down = true});
  world.write("s", 2, 3);
  world.discard("s", 4, 4);
  world.flush("s");
  world.discard("s", 0, 3);
  world.write("base", 5, 2);
  world.write("t", 9, 1);
  world.discard("t", 8, 4);
  world.flush("t");
  world.flush("base");
  world.discard("t", 5, 2);
  world.write("base", 8, 2);
}

}  // namespace

void add_writes(std::vector<Workload>& all) {
  // Each image is two megabytes and more.
  SweepOptions heavy;
  heavy.exhaustive = 8;
  heavy.samples = 6;
  heavy.second_life_in = 10;
  SweepOptions heavier = heavy;
  heavier.exhaustive = 4;
  heavier.samples = 2;
  heavier.places_in = 3;
  all.push_back(
      {"plain_writes", {16, {{48}, {64}}, 1}, once(plain_writes), {}});
  all.push_back(
      {"snapshot_writes", {24, {{64}}, 1}, once(snapshot_writes), {}});
  all.push_back(
      {"two_snapshots", {12, {{40}, {48}, {40}}, 1}, once(two_snapshots), {}});
  all.push_back({"area_crossing", {96, {{200}}, 1}, once(area_crossing), {}});
  all.push_back(
      {"area_filled_exactly", {80, {{120}}, 1}, once(area_filled_exactly), {}});
  all.push_back({"areas_in_one_commit",
                 {100, {{140}}, 1},
                 once(areas_in_one_commit),
                 {}});
  all.push_back({"torn_areas", {140, {{320}}, 1}, once(torn_areas), {}});
  all.push_back({"windows", {270 * 16, {{285 * 16}}, 1}, once(windows), heavy});
  all.push_back({"windows_merged",
                 {262 * 16, {{280 * 16}}, 1},
                 once(windows_merged),
                 heavier});
  all.push_back(
      {"group_commit", {28, {{48}, {64}}, 1}, once(group_commit), {}});
  all.push_back({"discard", {16, {{48}, {48}}, 1}, once(discard), {}});
}

}  // namespace snapfs::test

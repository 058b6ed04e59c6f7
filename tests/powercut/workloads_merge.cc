// SPDX-License-Identifier: MIT
//
// Snapshots that go back into their origin.
#include "tests/powercut/workloads.h"

#include "core/chunk.h"

namespace snapfs::test {
namespace {

constexpr Merger::StepLimit kSmall{2 * kSectorBytes, 1};
constexpr Merger::StepLimit kMiddle{6 * kSectorBytes, 3};

void merge(World& world) {
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 0, 4);
  world.write("s", 2, 4);
  world.write("s", 9, 2);
  world.write("base", 12, 2);
  world.merge("s");
  while (world.is_merging()) world.merge_step(kMiddle);
  world.write("base", 1, 3);
  world.flush("base");
}

// What is written goes to the COW, or to the origin if it has been merged.
void merge_with_writes(World& world) {
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 2});
  world.write("s", 0, 8);
  world.write("s", 13, 2);
  world.write("s", 20, 2);
  world.merge("s");
  world.write("base", 3, 2);
  world.flush("base");
  world.merge_step(kSmall);
  world.write("base", 18, 3);
  world.write("base", 0, 2);
  world.flush("base");
  world.merge_step(kMiddle);
  world.write("base", 4, 5);
  world.close();
  world.open();
  world.merge_step(kSmall);
  world.write("base", 0, 10);
  world.flush("base");
  world.merge_to_the_end();
  world.write("base", 0, 1);
}

// Another snapshot shows what it showed.
void merge_beside_a_snapshot(World& world) {
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 3, 2);
  world.take("t", {.cow = 2, .chunk_sectors = 2});
  world.write("s", 0, 4);
  world.write("s", 8, 3);
  world.write("t", 9, 1);
  world.merge("s");
  world.merge_step(kSmall);
  world.write("base", 1, 2);
  world.write("t", 4, 1);
  world.merge_step(kSmall);
  world.flush("t");
  world.write("base", 12, 1);
  world.merge_step(kMiddle);
  world.flush("base");
  world.merge_to_the_end();
  world.write("base", 0, 2);
}

// Backwards through areas.
void merge_across_areas(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("s", 0, 20);
  world.write("s", 40, 20);
  world.write("base", 24, 4);
  world.merge("s");
  world.merge_step({5 * kSectorBytes, 4});
  world.merge_step({20 * kSectorBytes, 4});
  world.write("base", 45, 5);
  world.write("base", 10, 4);
  world.flush("base");
  world.merge_to_the_end();
}

// One snapshot after the other.
void merge_twice(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 0, 3);
  world.take("t", {.cow = 2, .chunk_sectors = 2});
  world.write("s", 2, 2);
  world.write("t", 4, 4);
  world.merge("s");
  world.merge_to_the_end();
  world.write("base", 6, 2);
  world.merge("t");
  world.merge_step(kSmall);
  world.write("base", 8, 2);
  world.merge_to_the_end();
  world.flush("base");
}

}  // namespace

void add_merges(std::vector<Workload>& all) {
  all.push_back({"merge", {16, {{40}}, 1}, once(merge), {}});
  all.push_back(
      {"merge_with_writes", {24, {{48}}, 1}, once(merge_with_writes), {}});
  all.push_back({"merge_beside_a_snapshot",
                 {14, {{40}, {48}}, 1},
                 once(merge_beside_a_snapshot),
                 {}});
  all.push_back(
      {"merge_across_areas", {64, {{100}}, 1}, once(merge_across_areas), {}});
  all.push_back({"merge_twice", {12, {{40}, {48}}, 1}, once(merge_twice), {}});
}

}  // namespace snapfs::test

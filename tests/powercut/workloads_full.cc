// SPDX-License-Identifier: MIT
//
// COW devices that are full, and what becomes of snapshots then.
#include "tests/powercut/workloads.h"

#include "core/chunk.h"

namespace snapfs::test {
namespace {

// The origin's writes do it, to one of two.
void invalidation(World& world) {
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.take("t", {.cow = 2, .chunk_sectors = 2});
  world.write("base", 0, 3);
  world.write("s", 5, 2);
  world.expect_full("s");
  world.write("base", 4, 5);
  world.flush("base");
  world.write("base", 3, 1);
  world.flush("t");
  world.close();
  world.open();
  world.write("base", 10, 4);
}

// The snapshot's own write does it.
void invalidation_by_itself(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("s", 0, 3);
  world.flush("s");
  world.write("base", 1, 2);
  world.expect_full("s");
  world.try_write("s", 6, 6);
  world.write("base", 6, 2);
  world.write("base", 0, 1);
}

void overflow(World& world) {
  const StoreType type = StoreType::persistent_overflow;
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 1, .type = type});
  world.write("s", 0, 4);
  world.write("base", 4, 2);
  world.try_write("s", 3, 6);
  world.flush("s");
  world.write("base", 0, 2);
  world.close();
  world.open();
  world.try_write("s", 1, 5);
  world.expect_full("s");
  world.write("base", 8, 5);
  world.write("base", 3, 1);
}

void when_full(World& world) {
  WhenFull refuse;
  refuse.refuse_origin = true;
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 1, .when_full = refuse});
  world.take("t", {.cow = 2, .chunk_sectors = 1});
  world.write("base", 0, 4);
  world.write("s", 6, 2);
  if (world.try_write("base", 5, 6)) throw Broken("a full store took a copy");
  world.write("base", 1, 2);
  world.flush("base");
  world.try_write("base", 8, 4);
  world.flush("t");
}

void growing(World& world) {
  WhenFull grow;
  grow.grow = WhenFull::Grow{4 * kSectorBytes, 60 * kSectorBytes};
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 1, .when_full = grow});
  world.write("base", 0, 4);
  world.write("s", 6, 3);
  world.flush("s");
  world.write("base", 8, 10);
  world.write("s", 20, 2);
  world.write("base", 20, 6);
  world.write("s", 26, 4);
  world.flush("s");
}

}  // namespace

void add_full_stores(std::vector<Workload>& all) {
  all.push_back(
      {"invalidation", {16, {{10}, {40}}, 1}, once(invalidation), {}});
  all.push_back({"invalidation_by_itself",
                 {12, {{9}}, 1},
                 once(invalidation_by_itself),
                 {}});
  all.push_back({"overflow", {16, {{10}}, 1}, once(overflow), {}});
  all.push_back({"when_full", {16, {{10}, {32}}, 1}, once(when_full), {}});
  all.push_back({"growing", {32, {{8, 64}}, 1}, once(growing), {}});
}

}  // namespace snapfs::test

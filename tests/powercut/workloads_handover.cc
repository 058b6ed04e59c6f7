// SPDX-License-Identifier: MIT
//
// Stores that go from one table to another.
#include "tests/powercut/workloads.h"

namespace snapfs::test {
namespace {

// Variants: whether the saved tables change before the handover or after it.
bool handover_same_name(World& world, uint64_t variant) {
  const auto saved = variant == 0 ? World::Saved::early : World::Saved::late;
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 2});
  world.write("s", 1, 4);
  world.write("base", 4, 3);
  world.write("s", 9, 2);
  world.hand_over("s", "s", saved);
  world.write("base", 0, 2);
  world.write("base", 8, 3);
  world.write("s", 12, 1);
  world.flush("s");
  return variant == 0;
}

bool handover_other_name(World& world, uint64_t variant) {
  const auto saved = variant == 0 ? World::Saved::early : World::Saved::late;
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.take("other", {.cow = 2, .chunk_sectors = 1});
  world.write("s", 1, 3);
  world.write("base", 3, 3);
  world.write("s", 9, 2);
  world.hand_over("s", "t", saved);
  world.write("base", 0, 2);
  world.write("base", 9, 2);
  world.write("t", 11, 1);
  world.hand_over("t", "s", saved);
  world.write("base", 11, 1);
  return variant == 0;
}

}  // namespace

void add_handovers(std::vector<Workload>& all) {
  all.push_back(
      {"handover_same_name", {14, {{48}}, 1}, handover_same_name, {}});
  all.push_back(
      {"handover_other_name", {12, {{48}, {40}}, 1}, handover_other_name, {}});
}

}  // namespace snapfs::test

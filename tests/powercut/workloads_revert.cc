// SPDX-License-Identifier: MIT
//
// Origins that get back what a snapshot shows. Some of the reverts are not
// finished: those that a cut has left are gone on with by the next mount.
#include "core/chunk.h"
#include "tests/powercut/workloads.h"

namespace snapfs::test {
namespace {

constexpr BackgroundCopy::StepLimit kSmall{2 * kSectorBytes, 1};
constexpr BackgroundCopy::StepLimit kMiddle{6 * kSectorBytes, 3};

void revert(World& world) {
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 0, 4);
  world.write("s", 2, 4);
  world.write("s", 9, 2);
  world.write("base", 12, 2);
  world.revert("s");
  while (world.is_reverting()) world.revert_step(kMiddle);
  world.write("base", 1, 3);
  world.flush("base");
  world.write("s", 3, 3);
}

// Into chunks that have been copied back, that have not, and that need not.
void revert_with_writes(World& world) {
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 0, 6);
  world.write("s", 280, 2);
  world.write("base", 560, 3);
  world.flush("s");
  world.revert("s");
  world.write("base", 281, 1);  // undone
  world.revert_step(kSmall);
  world.write("base", 1, 1);  // done
  world.write("s", 0, 1);
  world.flush("base");
  world.write("base", 570, 2);  // never copied
  world.write("s", 573, 2);
  world.write("s", 562, 1);  // undone
  world.flush("s");
  world.revert_step(kSmall);
  world.write("base", 4, 2);
  world.revert_to_the_end();
  world.write("base", 562, 1);
}

// The same where a chunk has more than one sector and a write less, and the
// mount ends meanwhile.
void revert_over_mounts(World& world) {
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 2});
  world.write("s", 1, 8);
  world.write("base", 6, 7);
  world.write("base", 20, 2);
  world.revert("s");
  world.revert_step(kSmall);
  world.write("base", 3, 1);
  world.close();
  world.open();
  world.revert_step(kSmall);
  world.write("s", 2, 1);
  world.write("base", 17, 2);
  world.flush("base");
  world.close();
  world.open();
  world.revert_to_the_end();
  world.write("base", 9, 1);
  world.close();
}

// Another snapshot shows what it showed.
void revert_beside_a_snapshot(World& world) {
  world.open();
  world.watch(true);
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 3, 2);
  world.take("t", {.cow = 2, .chunk_sectors = 2});
  world.write("s", 0, 2);
  world.write("base", 8, 3);
  world.write("t", 9, 1);
  world.revert("s");
  world.revert_step(kSmall);
  world.write("base", 1, 2);
  world.write("t", 4, 1);
  world.revert_step(kSmall);
  world.flush("t");
  world.write("base", 12, 1);
  world.revert_step(kMiddle);
  world.flush("base");
  world.revert_to_the_end();
  world.write("base", 0, 2);
}

// What was not flushed before the revert is gone, and comes from nowhere else.
void revert_at_once(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 0, 3);
  world.write("s", 1, 4);
  world.revert("s");
  world.revert_to_the_end();
  world.write("base", 2, 2);
  world.revert("s");
  world.revert_step(kSmall);
  world.write("s", 6, 1);
}

// Marks and what comes behind them lie on both sides of an area.
void revert_across_areas(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 0, 30);
  world.revert("s");
  world.write("base", 34, 8);
  world.revert_step({12 * kSectorBytes, 4});
  world.write("s", 20, 14);
  world.revert_step({4 * kSectorBytes, 4});
  world.write("base", 2, 4);
  world.flush("base");
  world.revert_to_the_end();
  world.write("s", 45, 4);
}

// So many exceptions that their marks need two chunks, which have the log's
// next area between them.
void revert_with_much_marked(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 0, 3999);
  world.flush("base");
  world.cuts_begin_here();
  world.revert("s");
  world.write("base", 3990, 2);
  world.flush("base");
  world.revert_step({8 * kSectorBytes, 1});
  world.write("s", 3985, 12);
  world.write("base", 4005, 2);
  world.flush("s");
  world.revert_to_the_end();
}

// A step of the revert, and at one of its transfers a request: a write to what
// the step is at or to what comes later, or a read that lasts.
bool meeting_a_revert(World& world, uint64_t variant) {
  constexpr uint64_t kPlaces = 8;
  const uint64_t at = variant % kPlaces;
  const uint64_t kind = variant / kPlaces;
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("base", 0, 4);
  world.write("base", 300, 2);
  world.revert("s");
  world.cuts_begin_here();
  const auto reverts = [&] { world.revert_step({4 * kSectorBytes, 1}); };
  if (kind < 4) {
    world.interleave(at, Interleaving::Second::runs, reverts, [&] {
      const std::string name = kind % 2 == 0 ? "base" : "s";
      world.write(name, kind < 2 ? 2 : 301, 1);
      world.flush(name);
    });
  } else {
    world.interleave(
        at, Interleaving::Second::stands,
        [&] {
          reverts();
          world.write("s", 2, 1);
        },
        [&] { world.read("base"); });
  }
  world.revert_to_the_end();
  return variant + 1 < 5 * kPlaces;
}

}  // namespace

void add_reverts(std::vector<Workload>& all) {
  all.push_back({"revert", {16, {{60}}, 1}, once(revert), {}});
  all.push_back(
      {"revert_with_writes", {576, {{80}}, 1}, once(revert_with_writes), {}});
  all.push_back(
      {"revert_over_mounts", {24, {{80}}, 1}, once(revert_over_mounts), {}});
  all.push_back({"revert_beside_a_snapshot",
                 {14, {{50}, {60}}, 1},
                 once(revert_beside_a_snapshot),
                 {}});
  all.push_back({"revert_at_once", {12, {{50}}, 1}, once(revert_at_once), {}});
  all.push_back(
      {"revert_across_areas", {50, {{120}}, 1}, once(revert_across_areas), {}});
  SweepOptions heavy;
  heavy.exhaustive = 1;
  heavy.samples = 2;
  heavy.second_life_in = 40;
  heavy.places_in = 30;
  all.push_back({"revert_with_much_marked",
                 {4020, {{4300}}, 1},
                 once(revert_with_much_marked),
                 heavy});
  SweepOptions sparse;
  sparse.exhaustive = 8;
  sparse.samples = 4;
  sparse.second_life_in = 16;
  all.push_back(
      {"meeting_a_revert", {304, {{60}}, 1}, meeting_a_revert, sparse});
}

}  // namespace snapfs::test

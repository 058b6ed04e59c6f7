// SPDX-License-Identifier: MIT
//
// Requests that meet. Where two do, the second comes at each transfer of the
// first in turn.
#include "tests/powercut/workloads.h"

namespace snapfs::test {
namespace {

// A few images of each place: there are many worlds.
SweepOptions sparse() {
  SweepOptions options;
  options.exhaustive = 16;
  options.samples = 6;
  options.second_life_in = 20;
  return options;
}

using Second = Interleaving::Second;

// Each variant is a pair of requests and the place where they meet; `count` is
// more than the transfers of any first one.
bool next(uint64_t variant, uint64_t pairs, uint64_t count) {
  return variant + 1 < pairs * count;
}

bool meeting_writes(World& world, uint64_t variant) {
  constexpr uint64_t kTransfers = 8;
  const uint64_t at = variant % kTransfers;
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("s", 0, 2);
  world.flush("s");
  world.write("s", 4, 2);
  const auto origin_writes_new = [&] { world.write("base", 8, 2); };
  const auto origin_writes_volatile = [&] { world.write("base", 4, 1); };
  const auto snapshot_writes_new = [&] { world.write("s", 10, 1); };
  const auto commits = [&] { world.flush("s"); };
  switch (variant / kTransfers) {
    case 0:
      world.interleave(at, Second::runs, commits, origin_writes_volatile);
      break;
    case 1:
      world.interleave(at, Second::runs, origin_writes_new, commits);
      break;
    case 2:
      world.interleave(at, Second::runs, origin_writes_new,
                       origin_writes_volatile);
      break;
    case 3:
      world.interleave(at, Second::runs, snapshot_writes_new, commits);
      break;
    case 4:
      world.interleave(at, Second::runs, commits, [&] {
        snapshot_writes_new();
        commits();
      });
      break;
    default:
      world.interleave(at, Second::stands, origin_writes_new,
                       [&] { world.read("s"); });
      break;
  }
  world.write("base", 0, 1);
  return next(variant, 6, kTransfers);
}

bool meeting_a_merge(World& world, uint64_t variant) {
  constexpr uint64_t kTransfers = 15;
  const uint64_t at = variant % kTransfers;
  world.open();
  world.take("t", {.cow = 2, .chunk_sectors = 1});
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.write("s", 0, 2);
  world.write("s", 5, 2);
  world.merge("s");
  const auto merges = [&] { world.merge_step({}); };
  switch (variant / kTransfers) {
    case 0:
      world.interleave(at, Second::runs, merges, [&] {
        world.write("base", 5, 1);
        world.flush("base");
      });
      break;
    case 1:
      world.interleave(at, Second::stands, merges,
                       [&] { world.write("base", 1, 1); });
      break;
    case 2:
      world.interleave(at, Second::stands, merges, [&] { world.read("t"); });
      break;
    default:
      world.interleave(at, Second::stands, merges, [&] { world.read("base"); });
      break;
  }
  world.flush("base");
  return next(variant, 4, kTransfers);
}

// Whatever order they come in.
void many_threads(World& world) {
  world.open();
  world.take("s", {.cow = 1, .chunk_sectors = 1});
  world.take("t", {.cow = 2, .chunk_sectors = 2});
  std::vector<World::Request> requests;
  for (uint64_t i = 0; i < 4; ++i) {
    requests.push_back([&world, i] { world.write("base", 3 * i, 2); });
    requests.push_back([&world, i] {
      world.write("s", 16 + 2 * i, 2);
      world.flush("s");
    });
  }
  requests.push_back([&world] { world.flush("t"); });
  world.in_parallel(requests);
  world.write("base", 15, 3);
}

}  // namespace

void add_threads(std::vector<Workload>& all) {
  all.push_back({"meeting_writes", {12, {{32}}, 1}, meeting_writes, sparse()});
  all.push_back(
      {"meeting_a_merge", {8, {{24}, {24}}, 1}, meeting_a_merge, sparse()});
  all.push_back(
      {"many_threads", {24, {{48}, {64}}, 1}, once(many_threads), {}});
}

}  // namespace snapfs::test

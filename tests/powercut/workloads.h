// SPDX-License-Identifier: MIT
//
// What is done before, and while, the power is cut. A workload is a script for
// a small world; one with variants runs each of them in a world of its own.
// Each of workloads_*.cc adds what belongs to one subject.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/powercut/sweep.h"
#include "tests/powercut/world.h"

namespace snapfs::test {

struct Workload {
  std::string name;
  WorldSpec spec;
  // Returns whether there is a variant behind this one.
  std::function<bool(World& world, uint64_t variant)> script;
  SweepOptions options;
};

// One variant.
inline std::function<bool(World&, uint64_t)> once(
    std::function<void(World&)> script) {
  return [script = std::move(script)](World& world, uint64_t) {
    script(world);
    return false;
  };
}

void add_writes(std::vector<Workload>& all);
void add_full_stores(std::vector<Workload>& all);
void add_handovers(std::vector<Workload>& all);
void add_merges(std::vector<Workload>& all);
void add_reverts(std::vector<Workload>& all);
void add_threads(std::vector<Workload>& all);

// All of them; no two write the same stamps.
std::vector<Workload> workloads();

// A world of its own for each seed. `seed` names everything in it.
Workload random_workload(uint64_t seed);

// Adds to `tally`; false: something is wrong, and tally.failure says what.
bool run(const Workload& workload, Tally& tally);

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "tests/powercut/workloads.h"

#include <exception>

namespace snapfs::test {
namespace {

// Of one workload; a generation is a number of 16 bits.
constexpr uint64_t kGenerations = 1000;

}  // namespace

std::vector<Workload> workloads() {
  std::vector<Workload> all;
  add_writes(all);
  add_full_stores(all);
  add_handovers(all);
  add_merges(all);
  add_threads(all);
  add_reverts(all);
  uint64_t number = 0;
  for (Workload& workload : all) {
    workload.spec.first_generation = 1 + kGenerations * number++;
    workload.options.seed = number;
  }
  return all;
}

bool run(const Workload& workload, Tally& tally) {
  bool is_more = true;
  for (uint64_t variant = 0; is_more; ++variant) {
    World world(workload.spec);
    const std::string where =
        workload.name +
        (variant == 0 ? "" : ", variant " + std::to_string(variant)) + ": ";
    try {
      is_more = workload.script(world, variant);
    } catch (const std::exception& error) {
      tally.failure = where + error.what();
      return false;
    }
    if (!sweep(world, workload.options, tally)) {
      tally.failure = where + tally.failure;
      return false;
    }
  }
  return true;
}

}  // namespace snapfs::test

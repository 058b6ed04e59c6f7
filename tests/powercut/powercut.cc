// SPDX-License-Identifier: MIT
//
// powercut list             names the workloads
// powercut WORKLOAD COUNT   fails if one image is not as it should be, or if
//                           there were fewer than COUNT distinct ones
// powercut find             runs all of them until something is wrong; for a
//                           core with a bug. Status 1: nothing was found
// powercut random COUNT     so many random worlds, always the same
// powercut soak [SECONDS]   random worlds until it is stopped; SNAPFS_SEED
// names
//                           the first of them
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <iomanip>
#include <iostream>
#include <string>

#include "tests/powercut/workloads.h"
#include "tests/support/seed.h"

namespace snapfs::test {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void print(const Tally& tally, Clock::time_point begin) {
  const double seconds = seconds_since(begin);
  std::cout << tally.tried << " images, " << tally.distinct.size()
            << " distinct, " << tally.second_lives << " gone on with, "
            << std::fixed << std::setprecision(1) << seconds << " s, "
            << std::setprecision(0)
            << static_cast<double>(tally.tried) / seconds << " images/s"
            << std::endl;
}

int run_one(const std::string& name, uint64_t at_least) {
  for (const Workload& workload : workloads()) {
    if (workload.name != name) continue;
    const Clock::time_point begin = Clock::now();
    Tally tally;
    const bool is_well = run(workload, tally);
    print(tally, begin);
    if (!is_well) std::cout << tally.failure << std::endl;
    if (is_well && tally.distinct.size() < at_least) {
      std::cout << "that is less than " << at_least << std::endl;
      return 1;
    }
    return is_well ? 0 : 1;
  }
  std::cout << "no workload " << name << std::endl;
  return 2;
}

// Thin at first, so that what is easily found is found soon.
int find() {
  Tally tally;
  for (const uint64_t thinner : std::initializer_list<uint64_t>{16, 4, 1}) {
    for (Workload& workload : workloads()) {
      workload.options.exhaustive /= thinner * thinner;
      workload.options.samples /= thinner;
      workload.options.places_in *= thinner;
      if (run(workload, tally)) continue;
      std::cout << tally.tried << "\t" << tally.failure << std::endl;
      return 0;
    }
  }
  std::cout << "nothing found in " << tally.tried << " images" << std::endl;
  return 1;
}

int run_random(uint64_t count) {
  const Clock::time_point begin = Clock::now();
  Tally tally;
  for (uint64_t seed = 1; seed <= count; ++seed) {
    if (run(random_workload(seed), tally)) continue;
    std::cout << "SNAPFS_SEED=" << seed << ": " << tally.failure << std::endl;
    return 1;
  }
  std::cout << "seeds 1 to " << count << ": ";
  print(tally, begin);
  return 0;
}

int soak(uint64_t seconds) {
  uint64_t seed = next_seed();
  const Clock::time_point begin = Clock::now();
  Clock::time_point told = begin;
  Tally tally;
  while (seconds == 0 || seconds_since(begin) < static_cast<double>(seconds)) {
    const Workload workload = random_workload(seed);
    if (!run(workload, tally)) {
      print(tally, begin);
      std::cout << "SNAPFS_SEED=" << seed << ": " << tally.failure << std::endl;
      return 1;
    }
    ++seed;
    if (seconds_since(told) < 10) continue;
    print(tally, begin);
    told = Clock::now();
  }
  print(tally, begin);
  return 0;
}

int usage() {
  std::cout << "usage: powercut list | WORKLOAD COUNT | random COUNT | find | "
               "soak [SECONDS]"
            << std::endl;
  return 2;
}

}  // namespace
}  // namespace snapfs::test

int main(int argc, char** argv) {
  using namespace snapfs::test;
  const std::string what = argc > 1 ? argv[1] : "";
  const uint64_t number = argc > 2 ? std::stoull(argv[2]) : 0;
  if (what.empty() || argc > 3) return usage();
  if (what == "find") return find();
  if (what == "random") return run_random(number);
  if (what == "soak") return soak(number);
  if (what != "list") return run_one(what, number);
  for (const Workload& workload : workloads()) {
    std::cout << workload.name << std::endl;
  }
  return 0;
}

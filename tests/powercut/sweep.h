// SPDX-License-Identifier: MIT
//
// Cuts the power at every place of a world's journal, in all ways or in some of
// them, and examines what is left: read by the format alone, then loaded by the
// core, merged or reverted to the end, gone on with and cut a second time.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>

#include "tests/powercut/world.h"

namespace snapfs::test {

struct SweepOptions {
  uint64_t seed = 1;
  // A place with at most so many possible contents has all of them tried,
  // others so many.
  uint64_t exhaustive = 256;
  uint64_t samples = 24;
  // One image in so many is gone on with; 0: none.
  uint64_t second_life_in = 6;
  // Of the places of the journal one in so many is taken.
  uint64_t places_in = 1;
};

// What many sweeps came to.
struct Tally {
  uint64_t tried = 0;                     // images, the same ones included
  std::unordered_set<uint64_t> distinct;  // by hash of all that is on the disks
  uint64_t second_lives = 0;
  std::string failure;  // of the first image that failed
};

// Adds to `tally`; ends with the first failure. False: there is one.
bool sweep(const World& world, const SweepOptions& options, Tally& tally);

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Is what a cut has left what users may expect?
#pragma once

#include <cstdint>
#include <string>

#include "tests/powercut/sweep.h"
#include "tests/powercut/world.h"

namespace snapfs::test {

// Empty, or what is wrong, in words. `lives_on`: is gone on with, and cut again
// at some places; counts that in `tally`.
std::string examine(const WorldSpec& spec, Disks disks,
                    const Expected& expected, bool lives_on, uint64_t seed,
                    Tally& tally);

}  // namespace snapfs::test

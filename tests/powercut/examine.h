// SPDX-License-Identifier: MIT
//
// Is what a cut has left what users may expect?
#pragma once

#include <cstdint>
#include <string>

#include "tests/powercut/sweep.h"
#include "tests/powercut/world.h"

namespace snapfs::test {

// What is gone on with is cut again at some places.
enum class SecondLife { none, where_it_is_rare, always };

// Empty, or what is wrong, in words. Counts second lives, and the images that
// come of them, in `tally`.
std::string examine(const WorldSpec& spec, Disks disks,
                    const Expected& expected, SecondLife second, uint64_t seed,
                    Tally& tally);

}  // namespace snapfs::test

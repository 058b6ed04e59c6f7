// SPDX-License-Identifier: MIT
//
// The seed of a random test: SNAPFS_SEED, or a new one. A test says
// SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed)), so that a failure can be
// repeated.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace snapfs::test {

inline uint64_t random_seed() {
  const char* given = std::getenv("SNAPFS_SEED");
  return given != nullptr ? std::stoull(given) : std::random_device{}();
}

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// The seeds of a random test. A run without SNAPFS_SEED has the same ones each
// time, so that it judges a change and not its luck; SNAPFS_SEED=random has new
// ones, and SNAPFS_SEED=N replays one. A test says
// SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed)), so that a failure can be
// repeated.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace snapfs::test {

// One seed is given, and nothing but it is wanted.
inline bool is_replay() {
  const char* given = std::getenv("SNAPFS_SEED");
  return given != nullptr && std::string(given) != "random";
}

// The next seed of this process. Not for several threads at once.
inline uint64_t next_seed() {
  static uint64_t next = 1;
  if (is_replay()) return std::stoull(std::getenv("SNAPFS_SEED"));
  if (std::getenv("SNAPFS_SEED") != nullptr) return std::random_device{}();
  return next++;
}

}  // namespace snapfs::test

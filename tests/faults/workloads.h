// SPDX-License-Identifier: MIT
//
// What is done while devices fail. A new one is a pair of functions and a line
// in the list; operations that it needs are added to FaultyWorld, each with the
// outcomes that it may have.
#pragma once

#include <string>
#include <vector>

#include "tests/faults/faulty_world.h"

namespace snapfs::test {

struct Workload {
  std::string name;
  void (*prepare)(FaultyWorld& world);  // on healthy devices
  void (*run)(FaultyWorld& world);
};

const std::vector<Workload>& workloads();

}  // namespace snapfs::test

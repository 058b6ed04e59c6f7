// SPDX-License-Identifier: MIT
//
// The k-th request of each kind on each device fails, for every k that a
// workload has: once, for ever, or although it was carried out; with each error
// that a device may have. Then the power fails, at once or after everything was
// flushed, or the daemon ends; and everything is loaded again.
#include <gtest/gtest.h>

#include <cerrno>
#include <iostream>
#include <string>

#include "tests/faults/faulty_world.h"
#include "tests/faults/workloads.h"

namespace snapfs::test {
namespace {

enum class Mode { once, for_ever, late };
enum class Ending { power_cut, flush_and_power_cut, end };

struct Case {
  std::string device;
  Op kind;  // or one like it
  unsigned ops;
  int error;
  Mode mode;
  Ending ending;
  uint64_t skip = 0;
};

std::string in_words(const Case& c) {
  static const char* const kModes[] = {"once", "for ever", "late"};
  static const char* const kEndings[] = {"power cut", "flush and power cut",
                                         "end"};
  return c.device + ": operation " + std::to_string(c.skip) + " of kind " +
         std::to_string(c.kind) + " has errno " + std::to_string(c.error) +
         ", " + kModes[static_cast<int>(c.mode)] + "; then " +
         kEndings[static_cast<int>(c.ending)];
}

void finish(FaultyWorld& world, Ending ending) {
  switch (ending) {
    case Ending::power_cut:
      return world.cut_power();
    case Ending::flush_and_power_cut:
      world.check();
      return world.cut_power();
    case Ending::end:
      return world.end();
  }
}

// False: the workload has no such request.
bool run_case(const Workload& workload, const Case& c) {
  FaultyWorld world;
  workload.prepare(world);
  world.inject(c.device, {.ops = c.ops,
                          .skip = c.skip,
                          .error = c.error,
                          .for_ever = c.mode == Mode::for_ever,
                          .is_late = c.mode == Mode::late});
  workload.run(world);
  const bool has_failed = world.failures() != 0;
  finish(world, c.ending);
  world.check();
  return has_failed;
}

class FaultTest : public testing::TestWithParam<Workload> {};

TEST_P(FaultTest, every_fault_has_an_outcome_that_the_manual_names) {
  const Workload& workload = GetParam();
  FaultyWorld healthy;
  workload.prepare(healthy);
  ASSERT_NO_THROW(workload.run(healthy));
  ASSERT_NO_THROW(healthy.check());
  ASSERT_NO_THROW(healthy.cut_power());
  ASSERT_NO_THROW(healthy.check());

  uint64_t faults = 0;
  unsigned wrong = 0;
  auto try_all = [&](Case c) {
    for (c.skip = 0;; ++c.skip) {
      try {
        if (!run_case(workload, c)) return;
      } catch (const std::exception& error) {
        ADD_FAILURE() << in_words(c) << "\n" << error.what();
        if (++wrong == 5) return;
      }
      ++faults;
    }
  };
  struct Kind {
    Op kind;
    unsigned ops;
    bool has_no_space;  // may say so
    bool can_be_late;
  };
  static constexpr Kind kKinds[] = {
      {kRead, kRead, false, false},  {kWrite, kAnyWrite, true, true},
      {kFlush, kFlush, false, true}, {kSize, kSize, false, false},
      {kGrow, kGrow, true, false},
  };
  for (const std::string& device : healthy.devices()) {
    for (const Kind& kind : kKinds) {
      for (int error : {EIO, ENOSPC}) {
        if (error == ENOSPC && !kind.has_no_space) continue;
        for (Mode mode : {Mode::once, Mode::for_ever, Mode::late}) {
          if (mode == Mode::late && !kind.can_be_late) continue;
          for (Ending ending :
               {Ending::power_cut, Ending::flush_and_power_cut, Ending::end}) {
            try_all({device, kind.kind, kind.ops, error, mode, ending});
            if (wrong >= 5) return;
          }
        }
      }
    }
  }
  std::cout << workload.name << ": " << faults << " faults" << std::endl;
  EXPECT_GT(faults, 50u);
}

INSTANTIATE_TEST_SUITE_P(Workloads, FaultTest, testing::ValuesIn(workloads()),
                         [](const auto& workload) {
                           return workload.param.name;
                         });

}  // namespace
}  // namespace snapfs::test

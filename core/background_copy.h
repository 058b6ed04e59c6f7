// SPDX-License-Identifier: MIT
//
// Copying that goes on beside requests, in steps: a merge or a revert. Steps of
// one copy are for one thread at a time.
#pragma once

#include <cstdint>

namespace snapfs {

class BackgroundCopy {
 public:
  // What one step takes at most. Writers of these chunks wait for it, so it is
  // the largest delay that the copying costs them.
  struct StepLimit {
    uint64_t bytes = uint64_t{4} << 20;  // at least one chunk is taken
    uint64_t runs = 64;
  };

  virtual ~BackgroundCopy() = default;

  // Copies some; returns how many bytes of the origin that were. 0: there is
  // nothing left, the copy has finished. Throws std::system_error with the
  // reason if it fails; it may be called again. Waits for device I/O alone.
  virtual uint64_t step(const StepLimit& limit) = 0;

  // Nothing is said any more of why a step failed: it is about to be tried
  // again. REQUIRES: no step is under way.
  virtual void forget_failure() = 0;
};

}  // namespace snapfs

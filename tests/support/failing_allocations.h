// SPDX-License-Identifier: MIT
//
// Lets an allocation of the calling thread fail with std::bad_alloc. A program
// that uses this has operator new and delete replaced.
#pragma once

#include <cstdint>

namespace snapfs::test {

// While it lives, the allocation number `skip` (from 0) of this thread fails;
// those before and after it do not.
class FailingAllocation {
 public:
  explicit FailingAllocation(uint64_t skip);
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  // False: there were not so many.
  bool has_failed() const;
};

}  // namespace snapfs::test

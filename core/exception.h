// SPDX-License-Identifier: MIT
//
// An exception is a chunk of the origin whose content, as a snapshot sees it,
// lies in a chunk of the COW device. (C++ exceptions are called errors in this
// project.) Consecutive ones are handled as a run.
#pragma once

#include <cstdint>

namespace snapfs {

// Chunks old_chunk .. old_chunk+count-1 of the origin are kept in chunks
// new_chunk .. new_chunk+count-1 of the COW device.
struct ExceptionRun {
  uint64_t old_chunk = 0;
  uint64_t new_chunk = 0;
  uint64_t count = 1;

  uint64_t old_end() const { return old_chunk + count; }
  friend bool operator==(const ExceptionRun&, const ExceptionRun&) = default;
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// One request on a device, as a value that can wait, and how it is carried out
// on a target. Knows nothing of FUSE. Long requests are carried out in pieces,
// so that whoever closes the device's gate never waits for more than one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/target.h"
#include "fusefs/flush_mark.h"

namespace snapfs {

struct DeviceRequest {
  enum class Kind {
    read,
    write,
    flush,
    zero,
    discard,
    seek_data,
    seek_hole,
  };

  Kind kind = Kind::flush;
  uint64_t offset = 0;  // bytes; advances while pieces are carried out
  uint64_t length = 0;  // bytes still to do
  std::span<const std::byte> data = {};  // what to write
  bool durable = false;   // a write that is flushed before it is answered
  bool keep_size = true;  // zero, discard: what is beyond the end is ignored
};

struct DeviceOutcome {
  bool finished = true;  // false: enter again and go on with the same request
  std::span<const std::byte> data = {};  // what was read, see carry_out()
  uint64_t value = 0;                    // bytes written, or the offset found
};

// Carries the request, or a piece of it, out. Errors are std::system_error:
// beyond_end, read_only, ENXIO (nothing found) and those of the target. What
// was read lies in a buffer of this thread until its next call. REQUIRES:
// inside the device's gate.
DeviceOutcome carry_out(Target& target, FlushMark& mark,
                        DeviceRequest& request);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// Makes a sound store of one that a check has found faults in: what is sound
// stays, what is not is left out. Records stay in their order. Whoever calls
// has told of the faults; here only what fails on the way is. Stateless.
#pragma once

#include <cstdint>
#include <functional>

#include "core/block_device.h"
#include "core/store_check.h"

namespace snapfs {

// Bytes of data that are done, and all; may throw to end it.
using CopyProgress = std::function<void(uint64_t done, uint64_t total)>;

struct RepairResult {
  uint64_t kept = 0;        // records of the new store
  uint64_t unreadable = 0;  // left out, because their data cannot be read
};

// Bytes that the device of the copy must have at least.
uint64_t repaired_bytes(const StoreCheck& check);

// Copies the sound records of `from`, with their chunks, to a new store on
// `to`, packed as if it had just been written. A chunk that cannot be read is
// left out and told to `sink`. `reads_as_zero`: `to` does, so that chunks of
// zeroes take no room there. A cut leaves a store on `to` that nobody loads.
// REQUIRES: check.bounds; `to` has repaired_bytes().
RepairResult repair_to(BlockDevice& from, const StoreCheck& check,
                       bool marked_valid, BlockDevice& to, bool reads_as_zero,
                       const FindingSink& sink, const CopyProgress& progress);

// Writes the metadata anew where it is; data chunks are not touched. The device
// is made longer if the end of the log has no place on it: throws
// Errc::unsupported, and has written nothing, where it cannot be.
// REQUIRES: check.bounds, and the log is readable to its end.
RepairResult repair_in_place(BlockDevice& cow, const StoreCheck& check,
                             bool marked_valid);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// The one seam between snapfs and the world: something with a size that can be
// read, written and flushed. Implementations are thread-safe. Nothing above
// this interface knows a file descriptor, so tests put memory, counting,
// failing and power-cut devices here.
//
// Every transfer moves the whole range or throws std::system_error with the
// errno of the failure and a text that names the device. Two overlapping writes
// in flight at the same time leave one or the other in each sector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/chunk.h"

namespace snapfs {

class BlockDevice {
 public:
  // A stretch of the device that is all data or reads as zeroes.
  struct Extent {
    bool is_data = true;
    uint64_t length = 0;  // bytes, > 0
  };

  virtual ~BlockDevice() = default;

  // For messages: the path, in most cases.
  virtual const std::string& name() const = 0;

  // Size in bytes, a multiple of 512. Asked afresh at every call: a device that
  // grew is seen at once.
  virtual uint64_t size() const = 0;

  // Smallest transfer that the hardware takes, in bytes: 512 or 4096. Callers
  // need not align to it; it bounds the chunk sizes a table may ask for.
  virtual uint32_t logical_block_size() const = 0;

  // REQUIRES: the range lies inside size().
  virtual void read(uint64_t offset, std::span<std::byte> into) = 0;

  // Durable only after flush() has returned.
  // REQUIRES: the range lies inside size().
  virtual void write(uint64_t offset, std::span<const std::byte> from) = 0;

  // As write(), and this range is durable on return (FUA). Says nothing about
  // earlier writes.
  virtual void write_durable(uint64_t offset,
                             std::span<const std::byte> from) = 0;

  // The range reads as zeroes afterwards; durable only after flush(). Gives
  // the space back where the device can.
  virtual void zero(ByteRange range) = 0;

  // Makes every write that had returned before the call durable. An error is
  // final for those writes; it is never ENOSPC, which a caller may hope to see
  // the end of.
  virtual void flush() = 0;

  // Makes the device longer, with zeroes that take no space yet. Throws
  // Errc::unsupported where only others can do that. REQUIRES: a multiple of
  // 512, not less than size().
  virtual void grow(uint64_t bytes);

  // Of a device that takes its space from a filesystem as it is written.
  struct Backing {
    uint64_t stored = 0;     // bytes that have their space
    uint64_t available = 0;  // bytes that the filesystem still has
  };
  // Nothing: the device has its space, and cannot be made longer here.
  virtual std::optional<Backing> backing() const { return std::nullopt; }

  // What is stored from `offset` on. May call a hole data, never data a hole.
  // REQUIRES: offset < size().
  virtual Extent extent_at(uint64_t offset) = 0;
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A target is what a device's live table made of it: an origin or a snapshot.
// It carries out requests on bytes. Thread-safe; calls block on device I/O and
// on nothing else. Errors are std::system_error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/block_device.h"
#include "core/chunk.h"

namespace snapfs {

// An amount of this moment, for monitoring.
struct Measure {
  const char* key;   // words with '_' between, the unit last
  const char* help;  // one line
  uint64_t value;
};

class Target {
 public:
  virtual ~Target() = default;

  // Length in bytes as the table says; a multiple of 512.
  virtual uint64_t size() const = 0;

  virtual bool read_only() const = 0;

  // REQUIRES, for each of these: the range lies inside size(); for those that
  // change something: !read_only().
  virtual void read(uint64_t offset, std::span<std::byte> into) = 0;
  virtual void write(uint64_t offset, std::span<const std::byte> from) = 0;

  // The range reads as zeroes afterwards (fallocate ZERO_RANGE).
  virtual void zero(ByteRange range) = 0;

  // The user does not need this content any more, and it reads as zeroes
  // afterwards (PUNCH_HOLE). Throws Errc::unsupported, and has changed
  // nothing, where dm has no discard or it would cost space.
  virtual void discard(ByteRange range) = 0;

  // Everything that was written before is durable on return. An error is
  // reported to at least one flush after it happened.
  virtual void flush() = 0;

  // Requests that were told to wait for room (NoRoomYet) try again.
  virtual void wake_waiting() noexcept {}

  // For SEEK_DATA and SEEK_HOLE. REQUIRES: offset < size().
  virtual BlockDevice::Extent extent_at(uint64_t offset) = 0;

  // What the device's own storage holds, in sectors: the st_blocks of its file.
  virtual uint64_t allocated_sectors() const = 0;

  // As `dmsetup status NAME` and `dmsetup table NAME` print them:
  // "0 LENGTH TARGET ...".
  virtual std::string status_line() const = 0;
  virtual std::string table_line() const = 0;

  // Further lines for the status file, "key: value" in YAML, each ended by a
  // newline.
  virtual std::string details() const = 0;

  // The numbers that go with them. Every target of a kind has the same keys,
  // but for those that nobody knows at the moment.
  virtual std::vector<Measure> measures() const { return {}; }
};

}  // namespace snapfs

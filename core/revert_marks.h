// SPDX-License-Identifier: MIT
//
// Which exceptions of a snapshot its origin has got back in a revert: a bit for
// each chunk of the COW device, in memory and, durably, on the device itself,
// in chunks that no exception uses. Bits are set and never cleared, so any part
// of a torn write is right. Thread-safe; set() is for one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/block_device.h"
#include "core/exception.h"
#include "core/mutex.h"
#include "core/revert_note.h"

namespace snapfs {

class RevertMarks {
 public:
  RevertMarks(std::shared_ptr<BlockDevice> cow, StoreLayout layout,
              const RevertNote& note);

  const RevertNote& note() const { return note_; }
  // Behind the last chunk that the marks lie in.
  uint64_t end() const { return chunks_.back().end(); }

  // The following throw std::system_error.

  // Makes them all unset, durably.
  void create();
  // Reads them.
  void load() EXCLUDES(mutex_);
  // Durable on return: writes what changes, and calls `flush`, which is to
  // flush the device. On an error they are unset as before.
  template <typename Flush>
  void set(const std::vector<ExceptionRun>& runs, const Flush& flush)
      EXCLUDES(mutex_) {
    write(windows_with(runs));
    flush();
    set_in_memory(runs);
  }

  // How many chunks from `new_chunk` on, `limit` at most, are alike; first: are
  // they done? So are exceptions that the revert is not about.
  struct Stretch {
    bool is_done = false;
    uint64_t count = 0;
  };
  Stretch stretch_at(uint64_t new_chunk, uint64_t limit) const EXCLUDES(mutex_);

  // The number of bits that are set.
  uint64_t count() const EXCLUDES(mutex_);

 private:
  // By their offset in the bits.
  using Windows = std::map<uint64_t, std::vector<std::byte>>;

  Windows windows_with(const std::vector<ExceptionRun>& runs) const
      EXCLUDES(mutex_);
  void write(const Windows& windows);
  void set_in_memory(const std::vector<ExceptionRun>& runs) EXCLUDES(mutex_);
  uint64_t device_offset(uint64_t offset) const;
  bool is_set(uint64_t new_chunk) const REQUIRES(mutex_);

  const std::shared_ptr<BlockDevice> cow_;
  const StoreLayout layout_;
  const RevertNote note_;
  const std::vector<ChunkRange> chunks_;

  mutable Mutex mutex_;
  std::vector<std::byte> bits_ GUARDED_BY(mutex_);
  uint64_t count_ GUARDED_BY(mutex_) = 0;
};

}  // namespace snapfs

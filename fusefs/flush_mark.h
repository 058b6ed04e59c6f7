// SPDX-License-Identifier: MIT
//
// Tells whether a device has been written to since it was last flushed, so that
// closing a clean file costs nothing. Counts writes instead of keeping a flag:
// with a flag, a second flush would find it cleared and return while the first
// is still under way. Thread-safe, lock-free.
#pragma once

#include <atomic>
#include <cstdint>

namespace snapfs {

class FlushMark {
 public:
  // A write has been carried out, or has failed half-way. Call before it is
  // answered: what was answered must be seen by every later flush.
  void wrote() noexcept { written_.fetch_add(1); }

  bool is_clean() const noexcept { return durable_.load() >= written_.load(); }

  // Calls `do_flush` unless everything is durable already. If it throws,
  // nothing counts as durable.
  template <typename Flush>
  void flush(Flush&& do_flush) {
    uint64_t goal = written_.load();
    uint64_t known = durable_.load();
    if (known >= goal) return;
    do_flush();
    while (known < goal && !durable_.compare_exchange_weak(known, goal)) {
    }
  }

 private:
  std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> durable_{0};
};

}  // namespace snapfs

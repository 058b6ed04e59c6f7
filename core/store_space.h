// SPDX-License-Identifier: MIT
//
// What is done so that a COW device is not full, and what becomes of writes
// when it is: the table's `when_full` and `thresholds`, for one store.
// Thread-safe. Its mutexes are taken before the store's.
//
// A time of fullness begins with the first write that finds no room and ends
// with a write that is carried out although it needs as much. The deadline of
// those who wait counts from its beginning. While anybody waits, the timer's
// thread looks for room; no thread waits.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "core/admission.h"
#include "core/block_device.h"
#include "core/commit_timer.h"
#include "core/events.h"
#include "core/exception_store.h"
#include "core/mutex.h"
#include "core/table.h"
#include "core/usage_rate.h"

namespace snapfs {

class StoreSpace : private Committable {
 public:
  using Clock = UsageRate::Clock;

  // Why there is no room.
  enum class Need {
    chunks,   // the device is too small
    storage,  // so is the filesystem that the device, a sparse file, lies on
  };

  // What a write does that finds no room.
  enum class Outcome {
    as_kernel,  // the snapshot becomes invalid or overflows
    refuse,     // the write fails, and nothing else happens
  };

  StoreSpace(BlockDevice& cow, ExceptionStore& store, CommitTimer& timer,
             EventSink& events);
  // Those who wait go on.
  ~StoreSpace() override;

  // Those who wait try again under the new one.
  void set_policy(const std::string& device, SpacePolicy policy) noexcept
      EXCLUDES(mutex_);

  // While set: what finds no room fails, whatever the table says, and nothing
  // else happens.
  void set_keeps_valid(bool keeps_valid) EXCLUDES(mutex_);

  // Before `count` chunks are reserved: extends the device if it is time to.
  void make_room(uint64_t count) EXCLUDES(mutex_, grow_mutex_);

  // Something was reserved, or the device has just been opened: tells
  // thresholds and growth.
  void note_usage() noexcept EXCLUDES(mutex_);

  // A write that needs `count` new chunks has found no room. Throws NoRoomYet
  // if it is to wait.
  Outcome no_room(uint64_t count, Need need) EXCLUDES(mutex_);

  // A write that needed `count` new chunks has written them.
  void found_room(uint64_t count) noexcept {
    if (is_full_.load(std::memory_order_relaxed)) end_fullness(count);
  }

  // Those who wait try again: the snapshot has changed.
  void wake() noexcept EXCLUDES(mutex_);

  // As lvm counts: 0 when only metadata is in use, 100 when everything is that
  // the device may become.
  unsigned used_percent() const EXCLUDES(mutex_);
  // If it goes on as in the last minute; nothing if nothing was used lately.
  std::optional<std::chrono::seconds> time_until_full() const EXCLUDES(mutex_);
  std::size_t waiting_count() const { return gate_->parked_count(); }

 private:
  void commit_pending() noexcept override { look_for_room(); }
  void look_for_room() noexcept EXCLUDES(mutex_);
  void end_fullness(uint64_t count) noexcept EXCLUDES(mutex_);
  void begin_fullness(uint64_t count, Need need) REQUIRES(mutex_);
  bool is_stale() const REQUIRES(mutex_);
  void wait_for_room() REQUIRES(mutex_);
  void look_again_later() REQUIRES(mutex_);
  void open_gate() noexcept REQUIRES(mutex_);
  std::string what_happens() const REQUIRES(mutex_);
  bool is_refused() const REQUIRES(mutex_);
  void grow_for(uint64_t count) REQUIRES(grow_mutex_) EXCLUDES(mutex_);
  void tell_no_growth(const std::string& why) REQUIRES(grow_mutex_)
      EXCLUDES(mutex_);
  void note_growth(uint64_t total) REQUIRES(mutex_);
  StoreUsage with_all_room(StoreUsage usage) const REQUIRES(mutex_);
  void note_thresholds(const StoreUsage& usage) REQUIRES(mutex_);
  void tell(EventKind kind, const std::string& text) const REQUIRES(mutex_);
  std::optional<WhenFull::Grow> grow_policy() const EXCLUDES(mutex_);

  BlockDevice& cow_;
  ExceptionStore& store_;
  CommitTimer& timer_;
  EventSink& events_;

  // Closed while writers wait. Shared with the requests in front of it.
  const std::shared_ptr<Admission> gate_ = std::make_shared<Admission>();

  // Held while the device is being extended.
  Mutex grow_mutex_;
  std::string no_growth_ GUARDED_BY(grow_mutex_);  // why not; told

  std::atomic<bool> is_full_{false};
  mutable Mutex mutex_;
  std::string device_ GUARDED_BY(mutex_);
  SpacePolicy policy_ GUARDED_BY(mutex_);
  bool keeps_valid_ GUARDED_BY(mutex_) = false;
  bool gate_is_closed_ GUARDED_BY(mutex_) = false;

  // While it is full.
  Clock::time_point full_since_ GUARDED_BY(mutex_);
  Clock::time_point last_look_ GUARDED_BY(mutex_);
  uint64_t needed_ GUARDED_BY(mutex_) = 0;  // chunks, by the smallest write
  Need need_ GUARDED_BY(mutex_) = Need::chunks;
  uint64_t full_total_ GUARDED_BY(mutex_) = 0;  // sectors of the device
  bool has_expired_ GUARDED_BY(mutex_) = false;

  UsageRate rate_ GUARDED_BY(mutex_);
  uint64_t total_ GUARDED_BY(mutex_) = 0;  // sectors, as last seen
  unsigned told_ GUARDED_BY(mutex_) = 0;   // the threshold last told, percent
};

}  // namespace snapfs

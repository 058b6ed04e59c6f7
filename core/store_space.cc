// SPDX-License-Identifier: MIT
#include "core/store_space.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "core/no_room_yet.h"

namespace snapfs {
namespace {

using std::chrono::milliseconds;

// How often room is looked for while somebody waits. Whether a filesystem has
// space again shows only when it is tried.
constexpr milliseconds kLookForChunks{50};
constexpr milliseconds kLookForStorage{500};

// Of a device.
constexpr std::size_t kLongestName = 128;

// A writer that was told to try again has done so by then, or never will.
constexpr std::chrono::seconds kTryAgain{5};

std::string in_words(milliseconds time) {
  if (time.count() % 1000 != 0) return std::to_string(time.count()) + " ms";
  return std::to_string(time.count() / 1000) + " s";
}

std::string in_words(std::chrono::seconds time) {
  const int64_t seconds = time.count();
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  if (seconds < 172'800) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86400) + " d";
}

uint64_t free_sectors(const StoreUsage& usage) {
  return usage.total > usage.allocated ? usage.total - usage.allocated : 0;
}

milliseconds look_interval(StoreSpace::Need need) {
  return need == StoreSpace::Need::chunks ? kLookForChunks : kLookForStorage;
}

// 100 only if nothing is free.
unsigned percent_of(const StoreUsage& usage) {
  if (usage.total <= usage.metadata) return 100;
  const uint64_t used =
      std::clamp(usage.allocated, usage.metadata, usage.total) - usage.metadata;
  return static_cast<unsigned>(
      100.0 * static_cast<double>(used) /
      static_cast<double>(usage.total - usage.metadata));
}

}  // namespace

StoreSpace::StoreSpace(BlockDevice& cow, ExceptionStore& store,
                       CommitTimer& timer, EventSink& events)
    : cow_(cow), store_(store), timer_(timer), events_(events) {
  MutexLock lock(mutex_);
  device_.reserve(kLongestName);
}

StoreSpace::~StoreSpace() {
  timer_.forget(*this);
  wake();
}

void StoreSpace::set_policy(const std::string& device,
                            SpacePolicy policy) noexcept {
  MutexLock lock(mutex_);
  device_ = device;  // allocates nothing, see the constructor
  policy_ = std::move(policy);
  is_full_ = false;
  told_ = 0;
  open_gate();
}

void StoreSpace::set_keeps_valid(bool keeps_valid) {
  MutexLock lock(mutex_);
  keeps_valid_ = keeps_valid;
}

bool StoreSpace::is_refused() const {
  return policy_.when_full.refuse_origin || keeps_valid_;
}

// ---- Growing

std::optional<WhenFull::Grow> StoreSpace::grow_policy() const {
  MutexLock lock(mutex_);
  return policy_.when_full.grow;
}

void StoreSpace::make_room(uint64_t count) {
  if (!grow_policy()) return;
  MutexLock lock(grow_mutex_);
  grow_for(count);
}

// Ahead of need: half a step is to be free behind what is asked for.
void StoreSpace::grow_for(uint64_t count) {
  const std::optional<WhenFull::Grow> grow = grow_policy();
  if (!grow) return;
  const uint64_t chunk = store_.chunk_size().bytes();
  const uint64_t spare = count + (grow->step_bytes / 2 + chunk - 1) / chunk;
  const uint64_t size = cow_.size();
  if (store_.has_room(spare)) return;
  if (size >= grow->max_bytes) {
    return tell_no_growth("it has the size that when_full allows");
  }
  // What a request needs may be more than a step; metadata comes on top.
  uint64_t steps = 1;
  if (!store_.has_room(count)) {
    const uint64_t wanted = (count + count / 32 + 2) * chunk;
    steps = (wanted + grow->step_bytes - 1) / grow->step_bytes;
  }
  uint64_t target = std::min(grow->max_bytes, size + steps * grow->step_bytes);
  try {
    const std::optional<BlockDevice::Backing> backing = cow_.backing();
    if (!backing) return tell_no_growth("it is no regular file");
    // All of the file must find its space, also what is a hole by now.
    target = std::min(target, backing->stored + backing->available);
    target = target / kSectorBytes * kSectorBytes;
    if (target <= size) {
      return tell_no_growth("its filesystem has no more space");
    }
    cow_.grow(target);
    no_growth_.clear();
  } catch (const std::exception& error) {
    return tell_no_growth(error.what());
  }
  note_usage();
}

void StoreSpace::tell_no_growth(const std::string& why) {
  if (no_growth_ == why) return;
  no_growth_ = why;
  MutexLock lock(mutex_);
  tell(EventKind::full, cow_.name() + " is not extended: " + why);
}

// ---- Being full

bool StoreSpace::is_stale() const {
  if (cow_.size() >> kSectorShift != full_total_) return true;
  // Nobody has tried again after the last time that the gate was opened.
  return need_ == Need::storage && !gate_is_closed_ && !has_expired_ &&
         Clock::now() - last_look_ > kTryAgain;
}

StoreSpace::Outcome StoreSpace::no_room(uint64_t count, Need need) {
  MutexLock lock(mutex_);
  if (!is_full_ || is_stale()) {
    begin_fullness(count, need);
  } else {
    needed_ = std::min(needed_, count);
    need_ = need;
  }
  const WhenFull& when_full = policy_.when_full;
  if (when_full.wait && !has_expired_) {
    if (Clock::now() - full_since_ < *when_full.wait) {
      wait_for_room();
      throw NoRoomYet(device_, gate_);
    }
    has_expired_ = true;
    tell(EventKind::full, "no room after " + in_words(*when_full.wait));
  }
  return is_refused() ? Outcome::refuse : Outcome::as_kernel;
}

void StoreSpace::begin_fullness(uint64_t count, Need need) {
  is_full_ = true;
  full_since_ = last_look_ = Clock::now();
  full_total_ = cow_.size() >> kSectorShift;
  needed_ = count;
  need_ = need;
  has_expired_ = false;
  const std::string reason =
      need == Need::chunks ? cow_.name() + " is full"
                           : "the filesystem of " + cow_.name() + " is full";
  const std::string what = what_happens();
  if (!what.empty()) tell(EventKind::full, reason + ": " + what);
}

std::string StoreSpace::what_happens() const {
  if (policy_.when_full.wait) {
    return "writers wait for room, " + in_words(*policy_.when_full.wait) +
           " at most";
  }
  if (is_refused()) return "writes that need room fail";
  return "";
}

void StoreSpace::wait_for_room() {
  if (gate_is_closed_) return;
  look_again_later();
  gate_is_closed_ = true;
  gate_->close();
}

void StoreSpace::look_again_later() {
  Clock::duration delay = look_interval(need_);
  if (policy_.when_full.wait) {
    delay = std::min<Clock::duration>(
        delay, full_since_ + *policy_.when_full.wait - Clock::now());
  }
  timer_.arm(*this, delay);
}

void StoreSpace::open_gate() noexcept {
  if (!gate_is_closed_) return;
  gate_is_closed_ = false;
  gate_->open();
}

void StoreSpace::wake() noexcept {
  MutexLock lock(mutex_);
  open_gate();
}

void StoreSpace::look_for_room() noexcept {
  MutexLock lock(mutex_);
  if (!gate_is_closed_) return;
  last_look_ = Clock::now();
  const bool has_waited = !policy_.when_full.wait ||
                          last_look_ - full_since_ >= *policy_.when_full.wait;
  try {
    const uint64_t total = cow_.size() >> kSectorShift;
    if (total != total_) note_growth(total);
    if (need_ == Need::storage || has_waited || store_.has_room(needed_)) {
      // Those who waited have died meanwhile: nobody's time is over.
      if (gate_->parked_count() == 0) is_full_ = false;
      return open_gate();
    }
    look_again_later();
  } catch (const std::exception&) {
    // The device does not say how large it is, or there is no memory. Whoever
    // waits tries again, and gets the error.
    open_gate();
  }
}

void StoreSpace::end_fullness(uint64_t count) noexcept {
  MutexLock lock(mutex_);
  if (!is_full_ || count < needed_) return;
  is_full_ = false;
  open_gate();
}

// ---- Telling

void StoreSpace::tell(EventKind kind, const std::string& text) const {
  events_.on_event({kind, device_, text});
}

void StoreSpace::note_usage() noexcept {
  try {
    const StoreUsage usage = store_.usage();
    MutexLock lock(mutex_);
    rate_.note(usage.allocated, Clock::now());
    if (usage.total != total_) note_growth(usage.total);
    note_thresholds(with_all_room(usage));
  } catch (const std::exception&) {
    // No memory for the news, or the device does not say how large it is,
    // which whoever needs to know hears from it.
  }
}

void StoreSpace::note_growth(uint64_t total) {
  const uint64_t before = std::exchange(total_, total);
  if (before == 0 || before == total) return;
  tell(EventKind::grow, cow_.name() + " has " + std::to_string(total) +
                            " sectors now, it had " + std::to_string(before));
}

// Of all that the device may become.
StoreUsage StoreSpace::with_all_room(StoreUsage usage) const {
  const auto& grow = policy_.when_full.grow;
  if (grow)
    usage.total = std::max(usage.total, grow->max_bytes >> kSectorShift);
  return usage;
}

void StoreSpace::note_thresholds(const StoreUsage& usage) {
  const unsigned percent = percent_of(usage);
  unsigned reached = 0;
  for (unsigned threshold : policy_.thresholds) {
    if (percent >= threshold) reached = threshold;
  }
  const unsigned before = std::exchange(told_, reached);
  if (reached <= before) return;
  std::string text = std::to_string(reached) +
                     "% used: " + std::to_string(usage.allocated) + " of " +
                     std::to_string(usage.total) + " sectors of " + cow_.name();
  const auto left = rate_.time_until(free_sectors(usage), Clock::now());
  if (left) text += ", full in " + in_words(*left) + " at this rate";
  tell(EventKind::usage, text);
}

unsigned StoreSpace::used_percent() const {
  const StoreUsage usage = store_.usage();
  MutexLock lock(mutex_);
  return percent_of(with_all_room(usage));
}

std::optional<std::chrono::seconds> StoreSpace::time_until_full() const {
  const StoreUsage usage = store_.usage();
  MutexLock lock(mutex_);
  return rate_.time_until(free_sectors(with_all_room(usage)), Clock::now());
}

}  // namespace snapfs

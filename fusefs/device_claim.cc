// SPDX-License-Identifier: MIT
#include "fusefs/device_claim.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <thread>

#include "fusefs/block_sysfs.h"
#include "fusefs/refusal.h"

namespace snapfs {
namespace {

using Clock = std::chrono::steady_clock;

// flock(2) has no time limit and nothing announces the end of a process that
// is not a child, so a wait is a matter of asking again.
constexpr std::chrono::milliseconds kPause{20};

// True if the lock is had, false if somebody else has it.
bool try_flock(int fd, Access access, const std::string& path) {
  int mode = access == Access::exclusive ? LOCK_EX : LOCK_SH;
  while (flock(fd, mode | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) refuse_errno(errno, "cannot lock " + path);
  }
  return true;
}

[[noreturn]] void refuse_in_use(const std::string& path,
                                const std::string& use) {
  throw Refusal(EBUSY, path + " is in use: " + use);
}

}  // namespace

ClaimRegistry::ClaimRegistry(const OwnMount& own_mount, Options options)
    : own_mount_(own_mount), options_(std::move(options)) {}

std::shared_ptr<Claim> ClaimRegistry::claim(const FoundDevice& device,
                                            Access access) {
  MutexLock lock(mutex_);
  std::erase_if(claims_,
                [](const auto& item) { return item.second.expired(); });
  refuse_second_name(device, access);
  auto known = claims_.find(device.id);
  std::shared_ptr<Claim> claim;
  if (known != claims_.end()) claim = known->second.lock();
  if (claim) {
    if (access == Access::exclusive && claim->access == Access::shared) {
      strengthen(*claim, device);
    }
    return claim;
  }
  claim = std::make_shared<Claim>();
  take(*claim, device, access);
  claims_[device.id] = claim;
  return claim;
}

void ClaimRegistry::refuse_second_name(const FoundDevice& device,
                                       Access access) const {
  for (const auto& [id, weak] : claims_) {
    auto other = weak.lock();
    if (!other || id == device.id || other->storage != device.storage) continue;
    if (access == Access::shared && other->access == Access::shared) continue;
    throw Refusal(EBUSY, device.path + " and " + other->path +
                             " are the same storage, and this mount uses " +
                             other->path + " already");
  }
}

void ClaimRegistry::refuse_other_use(const FoundDevice& device,
                                     Access access) const {
  if (device.is_block()) {
    std::string use = kernel_use(device.block_device(), access);
    if (!use.empty()) refuse_in_use(device.path, use);
  }
  std::string use = loop_use(own_mount_, device, access, std::nullopt);
  if (!use.empty()) refuse_in_use(device.path, use);
  if (!device.below || device.storage != device.below->storage) return;
  // All of the file below is claimed with it. Loops over parts of it are on
  // their own.
  const FoundDevice& below = *device.below;
  if (below.is_block()) use = kernel_use(below.block_device(), access);
  if (use.empty()) {
    use = loop_use(own_mount_, below, access, device.block_device());
  }
  if (!use.empty()) refuse_in_use(below.path, use);
}

void ClaimRegistry::take(Claim& claim, const FoundDevice& device,
                         Access access) const {
  claim.path = device.path;
  claim.id = device.id;
  claim.storage = device.storage;
  claim.access = access;
  refuse_other_use(device, access);
  bool is_writer = access == Access::exclusive;
  if (is_writer && device.is_block()) {
    claim.exclusive_open = open_exclusively(device);
  }
  // Some network filesystems want a lock's file open for what it allows.
  claim.lock = reopen_or_refuse(device, is_writer ? O_RDWR : O_RDONLY);
  lock(claim.lock.get(), device, access);
  claim.lock_below = lock_below(device, access);
}

// On failure the claim is what it was.
void ClaimRegistry::strengthen(Claim& claim, const FoundDevice& device) const {
  refuse_other_use(device, Access::exclusive);
  UniqueFd exclusive_open;
  if (device.is_block()) exclusive_open = open_exclusively(device);
  make_exclusive(claim.lock.get(), device);
  if (claim.lock_below && device.below &&
      device.storage == device.below->storage) {
    try {
      make_exclusive(claim.lock_below.get(), *device.below);
    } catch (...) {
      make_shared_again(claim.lock.get(), device);
      throw;
    }
  }
  claim.exclusive_open = std::move(exclusive_open);
  claim.access = Access::exclusive;
}

// REQUIRES: `fd` holds a shared lock; on failure it does so again.
void ClaimRegistry::make_exclusive(int fd, const FoundDevice& device) const {
  wait_for(device, [&] {
    if (try_flock(fd, Access::exclusive, device.path)) return true;
    // A conversion that fails has lost the lock that there was.
    make_shared_again(fd, device);
    return false;
  });
}

// Those who made the conversion fail are readers and let it be had; only a
// writer that came between could have it now.
void ClaimRegistry::make_shared_again(int fd, const FoundDevice& device) const {
  if (try_flock(fd, Access::shared, device.path) || !options_.notice) return;
  options_.notice("the lock on " + device.path + " was lost to " +
                  find_holder(device, options_.record_directory).text);
}

UniqueFd ClaimRegistry::open_exclusively(const FoundDevice& device) const {
  UniqueFd fd;
  wait_for(device, [&] {
    fd = reopen(device, O_RDWR | O_EXCL);
    if (fd) return true;
    if (errno != EBUSY) refuse_open(device, errno);
    return false;
  });
  return fd;
}

// Several loop devices may show parts of one file, each with a writer; they
// share the file, but keep out whoever wants to write to all of it.
UniqueFd ClaimRegistry::lock_below(const FoundDevice& device,
                                   Access access) const {
  if (!device.below) return {};
  const FoundDevice& below = *device.below;
  UniqueFd fd = reopen(below, O_RDONLY);
  // Those who may use the loop device need not be allowed to open its file.
  if (!fd) return fd;
  bool is_whole = device.storage == below.storage;
  lock(fd.get(), below, is_whole ? access : Access::shared);
  return fd;
}

void ClaimRegistry::lock(int fd, const FoundDevice& device,
                         Access access) const {
  wait_for(device, [&] { return try_flock(fd, access, device.path); });
}

template <typename Attempt>
void ClaimRegistry::wait_for(const FoundDevice& device, Attempt attempt) const {
  const ClaimPatience& patience = options_.patience;
  const Clock::time_point start = Clock::now();
  // Who lets go between the attempt and the look at the holder leaves an
  // unknown one behind, so patience with others begins when the last snapfs
  // that is ending has been seen.
  Clock::time_point last_ending = start;
  bool noticed = false;
  for (;;) {
    if (attempt()) return;
    Holder holder = find_holder(device, options_.record_directory);
    if (holder.kind == Holder::Kind::mounted_snapfs ||
        holder.kind == Holder::Kind::kernel) {
      refuse_in_use(device.path, holder.text);
    }
    bool is_ending = holder.kind == Holder::Kind::ending_snapfs;
    const Clock::time_point now = Clock::now();
    if (is_ending) last_ending = now;
    auto waited = now - start;
    if (is_ending ? waited >= patience.ending
                  : now - last_ending >= patience.other) {
      refuse_in_use(device.path, holder.text);
    }
    if (is_ending && !noticed && waited >= patience.notice) {
      noticed = true;
      if (options_.notice) {
        options_.notice("waiting for " + device.path + ": " + holder.text);
      }
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace snapfs

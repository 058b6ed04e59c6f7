// SPDX-License-Identifier: MIT
//
// Claims on devices: who may open what while we have it. Between processes a
// claim is a flock(2), and O_EXCL besides on a block device that is written.
// Within this process there is one claim for a device, shared by all who have
// it open, and none for two names of the same storage with a writer among
// them: their page caches know nothing of each other.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/mutex.h"
#include "core/unique_fd.h"
#include "fusefs/device_holders.h"
#include "fusefs/found_device.h"
#include "fusefs/own_mount.h"

namespace snapfs {

// How long a device that is held is waited for.
struct ClaimPatience {
  // For a snapfs that is ending: it is writing its data back.
  std::chrono::milliseconds ending{30000};
  // Then the user is told that, and for whom, we wait.
  std::chrono::milliseconds notice{1000};
  // For other programs: udev and its like look at a device for a moment
  // whenever it was closed.
  std::chrono::milliseconds other{1000};
};

// A device that is ours; destroying it gives it up. Changed by the registry
// alone, under its lock.
struct Claim {
  std::string path;
  DeviceId id;
  DeviceId storage;
  Access access = Access::shared;
  UniqueFd lock;            // holds the flock
  UniqueFd exclusive_open;  // holds O_EXCL
  UniqueFd lock_below;      // the flock on what a loop device is attached to
};

// Thread-safe.
class ClaimRegistry {
 public:
  struct Options {
    ClaimPatience patience;
    std::function<void(const std::string&)> notice;  // a line for the user
    std::string record_directory;                    // as for examine_process()
  };

  // `own_mount` outlives the registry.
  ClaimRegistry(const OwnMount& own_mount, Options options);

  // A claim that allows at least `access`; one that exists is strengthened. It
  // never weakens before its last user is gone: flock(2) gives a lock up
  // before it takes it anew. Throws Refusal naming the holder. May wait as
  // ClaimPatience says.
  std::shared_ptr<Claim> claim(const FoundDevice& device, Access access)
      EXCLUDES(mutex_);

 private:
  void refuse_second_name(const FoundDevice& device, Access access) const
      REQUIRES(mutex_);
  void refuse_other_use(const FoundDevice& device, Access access) const;
  void take(Claim& claim, const FoundDevice& device, Access access) const;
  void strengthen(Claim& claim, const FoundDevice& device) const;
  UniqueFd open_exclusively(const FoundDevice& device) const;
  UniqueFd lock_below(const FoundDevice& device, Access access) const;
  void lock(int fd, const FoundDevice& device, Access access) const;
  void make_exclusive(int fd, const FoundDevice& device) const;
  void make_shared_again(int fd, const FoundDevice& device) const;

  // Calls `attempt` until it returns true; throws Refusal, naming the holder,
  // when it is no use to try again.
  template <typename Attempt>
  void wait_for(const FoundDevice& device, Attempt attempt) const;

  const OwnMount& own_mount_;
  const Options options_;

  mutable Mutex mutex_;
  std::map<DeviceId, std::weak_ptr<Claim>> claims_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

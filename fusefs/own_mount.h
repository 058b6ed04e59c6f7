// SPDX-License-Identifier: MIT
//
// Follows paths without ever entering the mount that this process serves. A
// lookup or a stat there would be answered by this very process, perhaps by
// the thread that waits for it. Thread-safe.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "core/mutex.h"
#include "core/unique_fd.h"
#include "fusefs/mount_table.h"

namespace snapfs {

// Where a path leads.
struct PathTarget {
  enum class Outcome {
    found,
    missing,    // all but the last component exist
    own_mount,  // it leads into the own mount, or to something that rests on it
    failed,     // `error` says why, `stopped_at` where
  };

  Outcome outcome = Outcome::failed;
  UniqueFd fd;           // found: O_PATH, of anything but a symbolic link
  UniqueFd parent;       // found, missing: O_PATH, the directory it is in
  std::string name;      // found, missing: its name there
  dev_t filesystem = 0;  // found: the superblock, as MountEntry::device
  int error = 0;
  std::string stopped_at;
  // The last component is a symbolic link; this is its text.
  std::string link;
  // A symbolic link on the way, the last component included, that belongs
  // neither to root nor to this process: its text. Whoever made it says where
  // the path leads.
  std::string foreign_link;
};

class OwnMount {
 public:
  // The mount that this process serves. Until then nothing is refused. Throws
  // std::system_error (ENOENT) if nothing is mounted there.
  void set(const std::string& mount_point) EXCLUDES(mutex_);

  // Symbolic links are followed, the last one as well.
  PathTarget follow(const std::string& path) const EXCLUDES(mutex_);

  // Whether reads of this block device end up in the own mount: a loop on a
  // file of it, or a device or partition on such a loop.
  bool carries(dev_t block_device) const EXCLUDES(mutex_);

 private:
  class Walk;

  std::optional<dev_t> device() const EXCLUDES(mutex_);

  mutable Mutex mutex_;
  std::optional<dev_t> device_ GUARDED_BY(mutex_);  // of its superblock
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A daemon's note of where it is mounted, /run/snapfs/PID (for an ordinary
// user $XDG_RUNTIME_DIR/snapfs/PID). Whoever finds a device locked by that
// process reads there what to tell the user, and whether the mount is gone and
// the process about to end. A note that outlived its process does no harm: it
// holds the process's start time as well. Immutable.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace snapfs {

class MountRecord {
 public:
  // Writes the note of this process. Call it when the mount is there. Throws
  // std::system_error; the mount is as good without it, only less well named.
  explicit MountRecord(const std::string& mount_point);
  MountRecord(const std::string& mount_point, const std::string& directory);
  ~MountRecord();
  MountRecord(const MountRecord&) = delete;
  MountRecord& operator=(const MountRecord&) = delete;

  // Where this process keeps its note; empty if it has no place for one.
  static std::string directory();

 private:
  std::string file_;
};

// What another process's name and note say about it.
struct SnapfsProcess {
  enum class State {
    not_snapfs,
    mounted,
    unmounted,  // a snapfs that is ending, or has not mounted yet
  };

  State state = State::not_snapfs;
  std::string mount_point;  // empty if there is no note
};

// `directory`: where to look; empty: where a process of that user keeps it.
SnapfsProcess examine_process(pid_t pid, const std::string& directory = "");

}  // namespace snapfs

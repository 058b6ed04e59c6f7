// SPDX-License-Identifier: MIT
//
// Mounts of a test's own, taken off at the end.
#pragma once

#include <memory>
#include <string>

#include "core/unique_fd.h"
#include "tests/support/child_process.h"

namespace snapfs::test {

// Why nothing can be mounted here; empty if it can.
std::string why_no_mounts();

class ScratchMount {
 public:
  // A tmpfs.
  static ScratchMount tmpfs(const std::string& directory);
  // What is on a block device.
  static ScratchMount of_device(const std::string& device,
                                const std::string& directory,
                                const std::string& type, bool read_only);
  static ScratchMount bind(const std::string& from, const std::string& to);
  // A FUSE filesystem of type fuse.snapfs that answers nothing: whoever asks
  // it anything hangs, until half a minute has passed or this process dies;
  // then they get an error.
  static ScratchMount unserved(const std::string& directory);

  ScratchMount(ScratchMount&& other) noexcept = default;
  ScratchMount& operator=(ScratchMount&&) = delete;
  ~ScratchMount();

  void unmount();

 private:
  ScratchMount(const std::string& source, const std::string& directory,
               const std::string& type, unsigned long flags,
               const std::string& options);

  struct MovedFlag {
    MovedFlag() = default;
    MovedFlag(MovedFlag&& other) noexcept : mounted(other.mounted) {
      other.mounted = false;
    }
    bool mounted = true;
  };

  std::unique_ptr<ChildProcess> guard_;
  UniqueFd fuse_;
  std::string directory_;
  MovedFlag state_;
};

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "tests/support/scratch_mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "core/error.h"

namespace snapfs::test {
namespace {

constexpr std::chrono::seconds kLongestHang{30};

}  // namespace

std::string why_no_mounts() {
  if (geteuid() != 0) return "mounting needs root";
  if (access("/dev/fuse", R_OK | W_OK) != 0) return "no /dev/fuse here";
  return "";
}

ScratchMount ScratchMount::tmpfs(const std::string& directory) {
  return {"tmpfs", directory, "tmpfs", 0, "size=64m"};
}

ScratchMount ScratchMount::of_device(const std::string& device,
                                     const std::string& directory,
                                     const std::string& type, bool read_only) {
  const unsigned long flags = read_only ? MS_RDONLY : 0;
  return {device, directory, type, flags, ""};
}

ScratchMount ScratchMount::bind(const std::string& from,
                                const std::string& to) {
  return {from, to, "", MS_BIND, ""};
}

ScratchMount ScratchMount::unserved(const std::string& directory) {
  // Made first, so that it has no share in /dev/fuse.
  auto guard = std::make_unique<ChildProcess>([&](ChildProcess::Side& side) {
    if (side.wait_for_go(kLongestHang)) return;
    umount2(directory.c_str(), MNT_FORCE);  // ends what hangs
    umount2(directory.c_str(), MNT_DETACH);
  });
  UniqueFd fuse(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!fuse) throw_errno("cannot open", "/dev/fuse");
  ScratchMount mount("unserved", directory, "fuse.snapfs", 0,
                     "fd=" + std::to_string(fuse.get()) +
                         ",rootmode=40000,user_id=0,group_id=0");
  mount.fuse_ = std::move(fuse);
  mount.guard_ = std::move(guard);
  return mount;
}

ScratchMount::ScratchMount(const std::string& source,
                           const std::string& directory,
                           const std::string& type, unsigned long flags,
                           const std::string& options)
    : directory_(directory) {
  if (mount(source.c_str(), directory.c_str(), type.c_str(), flags,
            options.c_str()) != 0) {
    throw_errno("cannot mount " + source + " on", directory);
  }
}

ScratchMount::~ScratchMount() { unmount(); }

void ScratchMount::unmount() {
  if (!state_.mounted) return;
  state_.mounted = false;
  fuse_.reset();  // ends what still waits for an answer
  if (umount2(directory_.c_str(), 0) != 0) {
    umount2(directory_.c_str(), MNT_DETACH);
  }
  if (guard_) {
    guard_->go();
    guard_->join();
  }
}

}  // namespace snapfs::test

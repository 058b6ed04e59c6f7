// SPDX-License-Identifier: MIT
#include "fusefs/found_device.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "fusefs/block_sysfs.h"
#include "fusefs/refusal.h"

namespace snapfs {
namespace {

constexpr int kMaxStack = 16;  // loops on loops

std::string describe_kind(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISCHR(mode)) return "a character device";
  if (S_ISFIFO(mode)) return "a fifo";
  if (S_ISSOCK(mode)) return "a socket";
  return "a special file";
}

DeviceId id_of(const struct stat& status) {
  if (S_ISBLK(status.st_mode)) return {true, status.st_rdev, 0};
  return {false, status.st_dev, status.st_ino};
}

FoundDevice examine(const OwnMount& own_mount, const std::string& path,
                    PathTarget target, int depth);

// Sets `below` and `storage` of a loop device.
void look_below(const OwnMount& own_mount, FoundDevice& loop, int depth) {
  auto backing = loop_backing(loop.block_device());
  if (!backing || backing->deleted || depth >= kMaxStack) return;
  PathTarget target = own_mount.follow(backing->path);
  // Another mount namespace's file cannot be found by its name.
  if (target.outcome != PathTarget::Outcome::found) return;
  struct stat status;
  if (fstat(target.fd.get(), &status) != 0) return;
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) return;
  loop.below = std::make_unique<FoundDevice>(
      examine(own_mount, backing->path, std::move(target), depth + 1));
  if (backing->is_whole_file()) loop.storage = loop.below->storage;
}

FoundDevice examine(const OwnMount& own_mount, const std::string& path,
                    PathTarget target, int depth) {
  struct stat status;
  if (fstat(target.fd.get(), &status) != 0) refuse_errno(errno, path);
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    throw Refusal(S_ISDIR(status.st_mode) ? EISDIR : ENOTBLK,
                  path + " is " + describe_kind(status.st_mode) +
                      ", not a block device or regular file");
  }
  FoundDevice device;
  device.path = path;
  device.fd = std::move(target.fd);
  device.filesystem = target.filesystem;
  device.inode = status.st_ino;
  device.id = device.storage = id_of(status);
  if (!device.is_block()) return device;
  if (own_mount.carries(device.block_device())) {
    auto backing = loop_backing(device.block_device());
    throw Refusal(EBUSY, path + " rests on this very mount" +
                             (backing ? " (it is a loop device over " +
                                            backing->path + ")"
                                      : ""));
  }
  look_below(own_mount, device, depth);
  return device;
}

}  // namespace

FoundDevice find_device(const OwnMount& own_mount, const std::string& path) {
  PathTarget target = own_mount.follow(path);
  if (target.outcome != PathTarget::Outcome::found) refuse_target(path, target);
  return examine_target(own_mount, path, std::move(target));
}

FoundDevice examine_target(const OwnMount& own_mount, const std::string& path,
                           PathTarget target) {
  return examine(own_mount, path, std::move(target), 0);
}

void refuse_target(const std::string& path, const PathTarget& target) {
  if (target.outcome == PathTarget::Outcome::own_mount) {
    throw Refusal(EBUSY, path + " is on this very mount");
  }
  if (target.outcome == PathTarget::Outcome::missing) {
    if (target.link.empty()) refuse_errno(ENOENT, path);
    throw Refusal(ENOENT, path + " is a symbolic link to " + target.link +
                              ", which does not exist");
  }
  std::string text = path + ": " + std::strerror(target.error);
  bool is_last = path.ends_with("/" + target.stopped_at);
  throw Refusal(target.error,
                is_last ? text : text + " (at " + target.stopped_at + ")");
}

UniqueFd reopen(const FoundDevice& device, int flags) {
  std::string link = "/proc/self/fd/" + std::to_string(device.fd.get());
  return UniqueFd(open(link.c_str(), flags | O_CLOEXEC | O_NOCTTY));
}

UniqueFd reopen_or_refuse(const FoundDevice& device, int flags) {
  UniqueFd fd = reopen(device, flags);
  if (!fd) refuse_open(device, errno);
  return fd;
}

void refuse_open(const FoundDevice& device, int error) {
  bool is_read_only_error = error == EROFS || error == EACCES || error == EPERM;
  if (device.is_block() && is_read_only_error &&
      is_read_only_device(device.block_device())) {
    throw Refusal(EROFS, device.path + " is a read-only device");
  }
  if (error == EROFS) {
    throw Refusal(error, device.path + " is on a read-only filesystem");
  }
  if (error == ETXTBSY) {
    throw Refusal(EBUSY,
                  device.path + " is in use: as swap, or as a running program");
  }
  refuse_errno(error, device.path);
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/new_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "core/chunk.h"
#include "fusefs/refusal.h"

namespace snapfs {
namespace {

[[noreturn]] void refuse_size(const std::string& path, uint64_t bytes,
                              const char* why) {
  throw Refusal(EFBIG, "cannot make " + path + " of " + std::to_string(bytes) +
                           " bytes: " + why);
}

void check_size(const std::string& path, uint64_t bytes) {
  if (bytes < kSectorBytes) {
    throw Refusal(EINVAL, "cannot make " + path + " of " +
                              std::to_string(bytes) +
                              " bytes: less than one sector (512)");
  }
  if (bytes > static_cast<uint64_t>(std::numeric_limits<off_t>::max())) {
    refuse_size(path, bytes, "no file can be as large");
  }
  // Beyond this limit ftruncate() would raise a signal that ends us.
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur) {
    refuse_size(path, bytes, "larger than the limit of this process");
  }
}

// O_PATH descriptors cannot be synchronised.
void sync_directory(const PathTarget& where, const std::string& path) {
  UniqueFd directory(
      openat(where.parent.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // A directory that may be written but not read, or a filesystem that
  // synchronises no directories: its names are as durable as they get.
  if (!directory) return;
  if (fsync(directory.get()) != 0 && errno != EINVAL) {
    refuse_errno(errno, "cannot make the name of " + path + " durable");
  }
}

void fill_new_file(int fd, const PathTarget& where, const std::string& path,
                   uint64_t bytes) {
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    // Filesystems answer either where a file would exceed their maximum.
    if (errno == EFBIG || errno == EINVAL) {
      refuse_size(path, bytes, "larger than its filesystem allows");
    }
    refuse_errno(errno, "cannot make " + path);
  }
  if (fsync(fd) != 0) refuse_errno(errno, "cannot make " + path);
  sync_directory(where, path);
}

}  // namespace

UniqueFd make_sparse_file(const PathTarget& where, const std::string& path,
                          uint64_t bytes) {
  check_size(path, bytes);
  // O_EXCL follows no symbolic link and never opens what somebody else made.
  UniqueFd fd(openat(where.parent.get(), where.name.c_str(),
                     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) refuse_errno(errno, "cannot make " + path);
  try {
    fill_new_file(fd.get(), where, path, bytes);
  } catch (const Refusal&) {
    struct stat status;
    if (fstat(fd.get(), &status) == 0) {
      unlink_if_same(where, status.st_dev, status.st_ino);
    }
    throw;
  }
  return fd;
}

void unlink_if_same(const PathTarget& where, dev_t device,
                    ino_t inode) noexcept {
  struct stat status;
  if (fstatat(where.parent.get(), where.name.c_str(), &status,
              AT_SYMLINK_NOFOLLOW) != 0) {
    return;
  }
  if (status.st_dev != device || status.st_ino != inode) return;
  unlinkat(where.parent.get(), where.name.c_str(), 0);
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/mounted_device.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <filesystem>

#include "core/error.h"
#include "fusefs/snapfs_mounts.h"

namespace snapfs {
namespace {

std::string canonical(const std::string& path) {
  char buffer[PATH_MAX];
  if (!::realpath(path.c_str(), buffer)) throw_errno("open", path);
  return buffer;
}

// Of a file that may not be there: a device that is not live yet has none.
std::filesystem::path canonical_file(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) return canonical(path);
  const std::filesystem::path file(path);
  return std::filesystem::path(canonical(file.parent_path())) / file.filename();
}

bool is_mount_point(const std::string& path) {
  const auto mount = mounted_at(read_mount_table(), path);
  return mount && is_snapfs(*mount);
}

}  // namespace

std::string find_mount_point(const std::optional<std::string>& directory) {
  if (directory) {
    std::string path = canonical(*directory);
    if (!is_mount_point(path))
      throw std::runtime_error(*directory + ": no snapfs is mounted there");
    return path;
  }
  const auto mounts = snapfs_mounts(read_mount_table());
  if (mounts.empty()) throw std::runtime_error("no snapfs is mounted");
  if (mounts.size() == 1) return mounts.front().mount_point;
  std::string text = "several are mounted, name one with -m:";
  for (const MountEntry& mount : mounts) text += " " + mount.mount_point;
  throw std::runtime_error(text);
}

MountedDevice find_device(const std::string& word,
                          const std::optional<std::string>& directory) {
  if (word.find('/') == std::string::npos)
    return {find_mount_point(directory), word};
  const std::filesystem::path path = canonical_file(word);
  MountedDevice device{path.parent_path(), path.filename()};
  if (!is_mount_point(device.mount_point))
    throw std::runtime_error(word + ": not a file of a mounted snapfs");
  return device;
}

}  // namespace snapfs

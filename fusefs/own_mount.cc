// SPDX-License-Identifier: MIT
#include "fusefs/own_mount.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "fusefs/block_sysfs.h"

namespace snapfs {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel's own limit
constexpr int kMaxStack = 16;  // loops on filesystems on loops

// The mount that an open file is on. Unlike fstat() this asks nobody.
std::optional<int> mount_id_of(int fd) {
  std::ifstream in("/proc/self/fdinfo/" + std::to_string(fd));
  for (std::string line; std::getline(in, line);) {
    int id = 0;
    // The kernel writes it.
    // NOLINTNEXTLINE(cert-err34-c)
    if (std::sscanf(line.c_str(), "mnt_id: %d", &id) == 1) return id;
  }
  return std::nullopt;
}

// The components in reverse, so that the next one is at the back.
std::vector<std::string> split_reversed(const std::string& path) {
  std::vector<std::string> parts;
  // A trailing slash asks for a directory, as "/." does.
  if (path.ends_with('/')) parts.push_back(".");
  for (size_t end = path.size(); end > 0;) {
    size_t slash = path.rfind('/', end - 1);
    size_t begin = slash == std::string::npos ? 0 : slash + 1;
    if (begin < end) parts.push_back(path.substr(begin, end - begin));
    end = slash == std::string::npos ? 0 : slash;
  }
  return parts;
}

}  // namespace

// One walk along a path. Each component is opened with O_PATH, which at a
// mount point yields the mounted root without a request to its filesystem; the
// mount is looked at before anything else is done with it.
class OwnMount::Walk {
 public:
  Walk(std::optional<dev_t> own, int depth)
      : own_(own), depth_(depth), mounts_(read_mount_table()) {}

  PathTarget follow(const std::string& path);
  bool carries(dev_t block_device) const;

 private:
  enum class Step { next, stop };

  Step enter(const std::string& name, bool is_last);
  Step follow_link(UniqueFd link, bool is_last, bool is_ours);
  bool start_at(const std::string& path);
  bool check_mount(int fd);
  bool rests_on_own(const MountEntry& mount) const;
  Step fail(int error, const std::string& at);

  const std::optional<dev_t> own_;
  const int depth_;
  const std::vector<MountEntry> mounts_;
  int links_ = 0;
  std::vector<std::string> todo_;
  UniqueFd directory_;
  std::optional<int> mount_id_;
  PathTarget result_;
};

PathTarget OwnMount::Walk::follow(const std::string& path) {
  todo_ = split_reversed(path);
  if (!start_at(path)) return std::move(result_);
  if (todo_.empty()) todo_.push_back(".");
  while (!todo_.empty()) {
    std::string name = std::move(todo_.back());
    todo_.pop_back();
    if (enter(name, todo_.empty()) == Step::stop) break;
  }
  return std::move(result_);
}

bool OwnMount::Walk::start_at(const std::string& path) {
  const char* start = path.starts_with('/') ? "/" : ".";
  directory_ = UniqueFd(open(start, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory_) {
    fail(errno, start);
    return false;
  }
  return check_mount(directory_.get());
}

OwnMount::Walk::Step OwnMount::Walk::enter(const std::string& name,
                                           bool is_last) {
  // O_DIRECTORY on the way makes an automounter mount what it has there; a
  // symbolic link then answers ENOTDIR.
  constexpr int kFlags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd fd;
  if (!is_last) {
    fd = UniqueFd(openat(directory_.get(), name.c_str(), kFlags | O_DIRECTORY));
  }
  if (!fd && (is_last || errno == ENOTDIR)) {
    fd = UniqueFd(openat(directory_.get(), name.c_str(), kFlags));
  }
  if (!fd) {
    if (errno != ENOENT || !is_last) return fail(errno, name);
    result_.outcome = PathTarget::Outcome::missing;
    result_.error = ENOENT;
    result_.parent = std::move(directory_);
    result_.name = name;
    return Step::stop;
  }
  if (!check_mount(fd.get())) return Step::stop;

  struct stat status;
  if (fstat(fd.get(), &status) != 0) return fail(errno, name);
  if (S_ISLNK(status.st_mode)) {
    const bool is_ours = status.st_uid == 0 || status.st_uid == ::geteuid();
    return follow_link(std::move(fd), is_last, is_ours);
  }
  if (!is_last) {
    if (!S_ISDIR(status.st_mode)) return fail(ENOTDIR, name);
    directory_ = std::move(fd);
    return Step::next;
  }
  result_.outcome = PathTarget::Outcome::found;
  result_.fd = std::move(fd);
  result_.parent = std::move(directory_);
  result_.name = name;
  return Step::stop;
}

OwnMount::Walk::Step OwnMount::Walk::follow_link(UniqueFd link, bool is_last,
                                                 bool is_ours) {
  std::array<char, PATH_MAX> buffer;
  ssize_t length = readlinkat(link.get(), "", buffer.data(), buffer.size());
  if (length < 0) return fail(errno, "a symbolic link");
  std::string text(buffer.data(), static_cast<size_t>(length));
  if (++links_ > kMaxLinks) return fail(ELOOP, text);
  if (is_last) result_.link = text;
  if (!is_ours) result_.foreign_link = text;
  if (text.starts_with('/') && !start_at(text)) return Step::stop;
  for (std::string& part : split_reversed(text)) {
    // Behind what is still to do, in the order in which it comes.
    todo_.push_back(std::move(part));
  }
  if (todo_.empty()) todo_.push_back(".");
  return Step::next;
}

// False: the walk ends here.
bool OwnMount::Walk::check_mount(int fd) {
  std::optional<int> id = mount_id_of(fd);
  if (id && id == mount_id_) return true;
  for (const MountEntry& mount : mounts_) {
    if (!id || mount.id != *id) continue;
    if (rests_on_own(mount)) {
      result_.outcome = PathTarget::Outcome::own_mount;
      return false;
    }
    result_.filesystem = mount.device;
  }
  mount_id_ = id;
  return true;
}

bool OwnMount::Walk::rests_on_own(const MountEntry& mount) const {
  if (!own_) return false;
  if (mount.device == *own_) return true;
  if (major(mount.device) != 0) return carries(mount.device);
  std::optional<dev_t> source = source_device(mount);
  return source && carries(*source);
}

bool OwnMount::Walk::carries(dev_t block_device) const {
  if (!own_ || depth_ >= kMaxStack) return false;
  if (auto backing = loop_backing(block_device)) {
    PathTarget target = Walk(own_, depth_ + 1).follow(backing->path);
    if (target.outcome == PathTarget::Outcome::own_mount) return true;
  }
  if (auto disk = disk_of(block_device)) {
    return Walk(own_, depth_ + 1).carries(*disk);
  }
  for (dev_t slave : slaves_of(block_device)) {
    if (Walk(own_, depth_ + 1).carries(slave)) return true;
  }
  return false;
}

OwnMount::Walk::Step OwnMount::Walk::fail(int error, const std::string& at) {
  result_.outcome = PathTarget::Outcome::failed;
  result_.error = error;
  result_.stopped_at = at;
  return Step::stop;
}

void OwnMount::set(const std::string& mount_point) {
  std::optional<dev_t> found;
  // The last one covers those mounted there before.
  for (const MountEntry& mount : read_mount_table()) {
    if (mount.mount_point == mount_point) found = mount.device;
  }
  if (!found) throw_errno(ENOENT, "nothing is mounted on", mount_point);
  MutexLock lock(mutex_);
  device_ = found;
}

PathTarget OwnMount::follow(const std::string& path) const {
  return Walk(device(), 0).follow(path);
}

bool OwnMount::carries(dev_t block_device) const {
  return Walk(device(), 0).carries(block_device);
}

std::optional<dev_t> OwnMount::device() const {
  MutexLock lock(mutex_);
  return device_;
}

}  // namespace snapfs

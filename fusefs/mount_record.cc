// SPDX-License-Identifier: MIT
#include "fusefs/mount_record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "core/error.h"
#include "core/unique_fd.h"
#include "fusefs/mount_table.h"
#include "fusefs/process_info.h"

namespace snapfs {
namespace {

constexpr const char* kSystemDirectory = "/run/snapfs";
constexpr const char* kType = "fuse.snapfs";

struct Note {
  uint64_t start_time = 0;
  dev_t device = 0;  // of the mount; another one there is another snapfs
  std::string mount_point;
};

// Three lines; the mount point is last, since it may hold anything.
std::string to_text(const Note& note) {
  return std::to_string(note.start_time) + "\n" + std::to_string(note.device) +
         "\n" + note.mount_point;
}

std::optional<Note> from_text(const std::string& text) {
  Note note;
  std::istringstream in(text);
  std::string start_time, device;
  if (!std::getline(in, start_time) || !std::getline(in, device)) {
    return std::nullopt;
  }
  note.start_time = std::strtoull(start_time.c_str(), nullptr, 10);
  note.device = std::strtoull(device.c_str(), nullptr, 10);
  std::getline(in, note.mount_point, '\0');
  return note;
}

std::optional<MountEntry> mount_at(const std::string& mount_point,
                                   const std::string& table) {
  std::optional<MountEntry> found;
  for (MountEntry& mount : read_mount_table(table)) {
    if (mount.mount_point == mount_point) found = std::move(mount);
  }
  return found;
}

std::optional<uid_t> owner_of(pid_t pid) {
  struct stat status;
  std::string directory = "/proc/" + std::to_string(pid);
  if (stat(directory.c_str(), &status) != 0) return std::nullopt;
  return status.st_uid;
}

std::string directory_of(uid_t uid) {
  if (uid == geteuid()) return MountRecord::directory();
  if (uid == 0) return kSystemDirectory;
  return "/run/user/" + std::to_string(uid) + "/snapfs";
}

// The note in `file`, if it is by `owner`: nobody speaks for somebody else.
std::optional<Note> read_note(const std::string& file, uid_t owner) {
  UniqueFd fd(open(file.c_str(),
                   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status;
  if (!fd || fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      status.st_uid != owner) {
    return std::nullopt;
  }
  std::array<char, 8192> buffer;
  ssize_t length = read(fd.get(), buffer.data(), buffer.size());
  if (length <= 0) return std::nullopt;
  return from_text(std::string(buffer.data(), static_cast<size_t>(length)));
}

bool is_mounted(const Note& note, pid_t pid) {
  // It may live in another mount namespace, whose table need not be readable.
  for (const std::string& table :
       {"/proc/" + std::to_string(pid) + "/mountinfo",
        std::string("/proc/self/mountinfo")}) {
    auto mount = mount_at(note.mount_point, table);
    if (mount && mount->device == note.device && mount->type == kType) {
      return true;
    }
  }
  return false;
}

void write_all(int fd, const std::string& text, const std::string& file) {
  ssize_t count = write(fd, text.data(), text.size());
  if (count < 0) throw_errno("cannot write", file);
  if (static_cast<size_t>(count) != text.size()) {
    throw_errno(EIO, "cannot write", file);
  }
}

}  // namespace

MountRecord::MountRecord(const std::string& mount_point)
    : MountRecord(mount_point, directory()) {}

MountRecord::MountRecord(const std::string& mount_point,
                         const std::string& directory) {
  if (directory.empty()) {
    throw_errno(ENOENT, "no runtime directory to note the mount on",
                mount_point);
  }
  auto mount = mount_at(mount_point, "/proc/self/mountinfo");
  if (!mount) throw_errno(ENOENT, "nothing is mounted on", mount_point);
  Note note{start_time_of(getpid()).value_or(0), mount->device, mount_point};

  if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    throw_errno("cannot make", directory);
  }
  // Written aside and renamed, so that a reader finds all of it or nothing.
  std::string file = directory + "/" + std::to_string(getpid());
  std::string aside = file + ".new";
  unlink(aside.c_str());
  UniqueFd fd(open(aside.c_str(),
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd) throw_errno("cannot make", aside);
  write_all(fd.get(), to_text(note), aside);
  if (rename(aside.c_str(), file.c_str()) != 0) {
    throw_errno("cannot make", file);
  }
  file_ = file;
}

MountRecord::~MountRecord() { unlink(file_.c_str()); }

std::string MountRecord::directory() {
  if (geteuid() == 0) return kSystemDirectory;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || *runtime != '/') return "";
  return std::string(runtime) + "/snapfs";
}

SnapfsProcess examine_process(pid_t pid, const std::string& directory) {
  std::optional<uint64_t> start_time = start_time_of(pid);
  std::optional<uid_t> owner = owner_of(pid);
  if (!start_time || !owner) return {};
  std::string place = directory.empty() ? directory_of(*owner) : directory;

  auto note = read_note(place + "/" + std::to_string(pid), *owner);
  if (note && note->start_time == *start_time) {
    return {is_mounted(*note, pid) ? SnapfsProcess::State::mounted
                                   : SnapfsProcess::State::unmounted,
            note->mount_point};
  }
  // Without a note there is the name; it has not mounted yet, or just ends.
  std::string command = command_of(pid);
  if (command == "snapfs" || command == "mount.snapfs") {
    return {SnapfsProcess::State::unmounted, ""};
  }
  return {};
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/control_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <sstream>

#include "config/table_reader.h"
#include "core/error.h"
#include "fusefs/file_users.h"
#include "fusefs/log.h"

namespace snapfs {
namespace {

// Writes the text; an errno if the table was refused, which close(2) tells.
int write_table(const std::string& path, const std::string& text) {
  UniqueFd file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count =
        ::write(file.get(), text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    done += static_cast<std::size_t>(count);
  }
  return ::close(file.release()) == 0 ? 0 : errno;
}

}  // namespace

UniqueFd open_file(const std::string& path, int flags) {
  UniqueFd file(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  if (!file) throw_errno("open", path);
  return file;
}

void read_pieces(int fd, const std::string& path,
                 const std::function<void(const char*, std::size_t)>& take) {
  std::array<char, 65536> piece;
  for (;;) {
    const ssize_t count = ::read(fd, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("read", path);
    if (count == 0) return;
    take(piece.data(), static_cast<std::size_t>(count));
  }
}

std::string read_text(const std::string& path) {
  std::string text;
  const UniqueFd file = open_file(path, O_RDONLY);
  read_pieces(file.get(), path, [&](const char* piece, std::size_t size) {
    text.append(piece, size);
  });
  return text;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::vector<MountedDevice> all_devices(const std::string& mount_point) {
  const std::string path = mount_point + "/.control/state";
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()),
                                                      ::closedir);
  if (!directory) throw_errno("open", path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  std::vector<MountedDevice> devices;
  for (std::string& name : names)
    devices.push_back({mount_point, std::move(name)});
  return devices;
}

// NAME: 0 LENGTH TARGET ...
std::string target_of(const MountedDevice& device) {
  std::istringstream status(read_text(device.control("status")));
  std::string name, begin, length, target;
  status >> name >> begin >> length >> target;
  return target.empty() ? "-" : target;
}

std::string value_of(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key + ": ")) return line.substr(key.size() + 2);
  }
  return "";
}

Table read_live_table(const MountedDevice& device) {
  return read_tables(read_text(device.table()),
                     {device.table(), ".", device.name})
      .at(0);
}

std::string errors_of(const std::string& mount_point) {
  return read_text(mount_point + "/.control/errors");
}

// The oldest ones may have been dropped meanwhile.
std::string new_errors(const std::string& before, const std::string& now) {
  if (now.starts_with(before)) return now.substr(before.size());
  const std::size_t last = now.rfind('\n', now.empty() ? 0 : now.size() - 2);
  return last == std::string::npos ? now : now.substr(last + 1);
}

bool load_table(const MountedDevice& device, const std::string& text) {
  const std::string before = errors_of(device.mount_point);
  const int error = write_table(device.table(), text);
  if (error == 0) return true;
  const std::string why = new_errors(before, errors_of(device.mount_point));
  if (why.empty()) throw_errno(error, "write", device.table());
  log_placed_error(why);
  return false;
}

bool act(const MountedDevice& device, const std::function<int()>& action) {
  const std::string before = errors_of(device.mount_point);
  const int error = action();
  if (error == 0) return true;
  const std::string why = new_errors(before, errors_of(device.mount_point));
  if (!why.empty()) log_placed_error(why);
  const std::string users = error == EBUSY ? file_users(device.file()) : "";
  if (!why.empty() && users.empty()) return false;
  const std::string reason = std::generic_category().message(error);
  log_message(Severity::error, device.name + ": " + reason +
                                   (users.empty() ? "" : ": " + users));
  return false;
}

int write_word(int fd, const std::string& word) {
  ssize_t count = 0;
  do {
    count = ::pwrite(fd, word.data(), word.size(), 0);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? errno : 0;
}

int write_state(const MountedDevice& device, const std::string& word) {
  const UniqueFd file = open_file(device.control("state"), O_WRONLY);
  return write_word(file.get(), word);
}

}  // namespace snapfs

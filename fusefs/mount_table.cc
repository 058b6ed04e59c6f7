// SPDX-License-Identifier: MIT
#include "fusefs/mount_table.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <optional>
#include <sstream>

namespace snapfs {
namespace {

// The kernel writes blanks and backslashes as \ooo.
std::string unescape(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 +
                                 (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool has_option(const std::string& options, const std::string& option) {
  return ("," + options + ",").find("," + option + ",") != std::string::npos;
}

// ID PARENT MAJOR:MINOR ROOT MOUNT_POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS
std::optional<MountEntry> parse(const std::string& line) {
  MountEntry entry;
  std::istringstream in(line);
  int parent = 0;
  unsigned major_number = 0;
  unsigned minor_number = 0;
  char colon = 0;
  std::string root, options, word;
  in >> entry.id >> parent >> major_number >> colon >> minor_number >> root >>
      entry.mount_point >> options;
  while (in >> word && word != "-") {
  }
  std::string super_options;
  if (!(in >> entry.type >> entry.source >> super_options)) return std::nullopt;
  entry.device = makedev(major_number, minor_number);
  entry.mount_point = unescape(entry.mount_point);
  entry.source = unescape(entry.source);
  entry.read_only = has_option(super_options, "ro");
  return entry;
}

}  // namespace

std::vector<MountEntry> read_mount_table(const std::string& file) {
  std::vector<MountEntry> mounts;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (auto entry = parse(line)) mounts.push_back(std::move(*entry));
  }
  return mounts;
}

std::optional<dev_t> source_device(const MountEntry& mount) {
  // Whoever mounts may choose this text; only what is plainly in /dev is
  // looked at, lest it leads into a filesystem that never answers.
  if (!mount.source.starts_with("/dev/") ||
      mount.source.find("/..") != std::string::npos) {
    return std::nullopt;
  }
  struct stat status;
  if (stat(mount.source.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) {
    return std::nullopt;
  }
  return status.st_rdev;
}

std::vector<MountEntry> mounts_of(const std::vector<MountEntry>& mounts,
                                  dev_t block_device) {
  std::vector<MountEntry> found;
  for (const MountEntry& mount : mounts) {
    bool is_own_number = major(mount.device) != 0;
    if (is_own_number ? mount.device == block_device
                      : source_device(mount) == block_device) {
      found.push_back(mount);
    }
  }
  return found;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// Finds the mount, and the device in it, that the words of a command line mean.
// Errors are std::runtime_error with a line for the user. Stateless functions.
#pragma once

#include <optional>
#include <string>

namespace snapfs {

struct MountedDevice {
  std::string mount_point;
  std::string name;

  std::string file() const { return mount_point + "/" + name; }
  // A control file of it, such as "state".
  std::string control(const std::string& kind) const {
    return mount_point + "/.control/" + kind + "/" + name;
  }
  std::string table() const { return control("tables") + ".yaml"; }
  // The one that is loaded but not live.
  std::string next_table() const { return control("tables") + ".next.yaml"; }
};

// `directory` if given, else the only snapfs that is mounted.
std::string find_mount_point(const std::optional<std::string>& directory);

// `word` with a slash is a path; without one a name in find_mount_point().
MountedDevice find_device(const std::string& word,
                          const std::optional<std::string>& directory);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// The control files of a mount, as the subcommands read and write them.
// Stateless functions; errors are std::system_error.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/table.h"
#include "core/unique_fd.h"
#include "fusefs/mounted_device.h"

namespace snapfs {

UniqueFd open_file(const std::string& path, int flags);

// Hands on each piece that read(2) returns, until the end of the file.
void read_pieces(int fd, const std::string& path,
                 const std::function<void(const char*, std::size_t)>& take);

std::string read_text(const std::string& path);

std::string first_line(const std::string& text);

// Names of the devices, in order.
std::vector<MountedDevice> all_devices(const std::string& mount_point);

// The word that names the target; "-" if the device is not live.
std::string target_of(const MountedDevice& device);

// The value of a line "KEY: VALUE" of a status; empty if there is none.
std::string value_of(const std::string& text, const std::string& key);

// Relative paths stay so: they are relative to the same directory when the
// mount reads them again. Throws TableError, too.
Table read_live_table(const MountedDevice& device);

// What the mount says about errors, oldest first, and the lines of `now` that
// `before` did not have.
std::string errors_of(const std::string& mount_point);
std::string new_errors(const std::string& before, const std::string& now);

// False: the table was refused, and why has been printed.
bool load_table(const MountedDevice& device, const std::string& text);

// Does something on the mount: `action` gives 0 or an errno. On an error:
// prints what the mount says about it, or else its text, and who uses the
// device if that is why. False then.
bool act(const MountedDevice& device, const std::function<int()>& action);

// At the beginning of the file. 0 or an errno.
int write_word(int fd, const std::string& word);

// The write returns when it has been done. 0 or an errno.
int write_state(const MountedDevice& device, const std::string& word);

}  // namespace snapfs

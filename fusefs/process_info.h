// SPDX-License-Identifier: MIT
//
// What /proc tells about other processes: who they are, and who holds a lock.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace snapfs {

// The command's name, as `ps` shows it; empty if there is no such process.
std::string command_of(pid_t pid);

// "PID (COMMAND)".
std::string describe_process(pid_t pid);

// When it started, in clock ticks after boot: with the pid, this names a
// process for good. Empty if there is none, or all its threads have ended.
std::optional<uint64_t> start_time_of(pid_t pid);

// Who holds a flock(2) on the inode. `filesystem` is the superblock's device,
// as MountEntry has it. Several may hold a shared lock.
std::vector<pid_t> flock_holders(dev_t filesystem, ino_t inode);

// Who has a file of this very path open, this process apart. Reads the names
// only and asks no filesystem.
std::vector<pid_t> processes_with_open(const std::string& path);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/mount_namespace.h"

#include <fcntl.h>
#include <sched.h>

#include "core/error.h"
#include "core/unique_fd.h"

namespace snapfs {

void enter_mount_namespace(const std::string& process_or_path) {
  const bool is_process =
      process_or_path.find_first_not_of("0123456789") == std::string::npos;
  const std::string path =
      is_process ? "/proc/" + process_or_path + "/ns/mnt" : process_or_path;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file || ::setns(file.get(), CLONE_NEWNS) != 0)
    throw_errno("mount namespace", path);
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "tests/support/loop_device.h"

#include <unistd.h>

#include <iostream>
#include <vector>

#include "tests/support/command.h"

namespace snapfs::test {

std::string LoopDevice::why_not() {
  if (geteuid() != 0) return "loop devices need root";
  if (access("/dev/loop-control", R_OK | W_OK) != 0) {
    return "no /dev/loop-control here";
  }
  if (!has_program("losetup")) return "no losetup here";
  return "";
}

LoopDevice::LoopDevice(const std::string& file) : LoopDevice(file, {}) {}

LoopDevice::LoopDevice(const std::string& file, const Options& options) {
  std::vector<std::string> command{"losetup", "--find", "--show", "-b",
                                   std::to_string(options.block_size)};
  if (options.read_only) command.push_back("--read-only");
  if (options.direct_io) command.push_back("--direct-io=on");
  if (options.offset != 0) {
    command.push_back("--offset=" + std::to_string(options.offset));
  }
  if (options.size_limit != 0) {
    command.push_back("--sizelimit=" + std::to_string(options.size_limit));
  }
  command.push_back(file);
  path_ = run_or_throw(command);
  path_.erase(path_.find_last_not_of('\n') + 1);
}

LoopDevice::~LoopDevice() {
  if (path_.empty()) return;
  try {
    run({"losetup", "--detach", path_});
  } catch (const std::exception& error) {
    std::cerr << path_ << " was not detached: " << error.what() << "\n";
  }
}

void LoopDevice::refresh_size() { run_or_throw({"losetup", "-c", path_}); }

void LoopDevice::detach() {
  run_or_throw({"losetup", "--detach", path_});
  path_.clear();
}

}  // namespace snapfs::test

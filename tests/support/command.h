// SPDX-License-Identifier: MIT
//
// Runs a program and waits for it.
#pragma once

#include <string>
#include <vector>

namespace snapfs::test {

struct CommandResult {
  int status = 0;      // exit status, or 128 + signal
  std::string output;  // stdout and stderr
};

CommandResult run(const std::vector<std::string>& command);

// As run(), and throws std::runtime_error with the output if the status is not
// 0. Returns the output.
std::string run_or_throw(const std::vector<std::string>& command);

// Whether there is such a program in $PATH or the system's sbin.
bool has_program(const std::string& name);

}  // namespace snapfs::test

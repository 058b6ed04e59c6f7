// SPDX-License-Identifier: MIT
//
// The subcommands of snapfs that read and write the control files of a mount:
// each takes the words that follow its name and returns the exit status. Errors
// are UsageError, or std::runtime_error with a line for the user.
//
// A device is given as the path of its file, or as NAME together with -m DIR,
// or as NAME alone when exactly one snapfs is mounted.
#pragma once

#include <string>
#include <vector>

namespace snapfs {

int run_ls(const std::vector<std::string>& arguments);
int run_status(const std::vector<std::string>& arguments);
int run_state(const std::vector<std::string>& arguments);
int run_table(const std::vector<std::string>& arguments);
int run_load(const std::vector<std::string>& arguments);
int run_suspend(const std::vector<std::string>& arguments);
int run_resume(const std::vector<std::string>& arguments);
int run_clear(const std::vector<std::string>& arguments);
int run_abort(const std::vector<std::string>& arguments);
int run_remove(const std::vector<std::string>& arguments);
int run_reload(const std::vector<std::string>& arguments);
int run_events(const std::vector<std::string>& arguments);

}  // namespace snapfs

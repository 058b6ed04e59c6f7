// SPDX-License-Identifier: MIT
//
// How far a command on a store is, on stderr: a line that is written over on a
// terminal; elsewhere nothing, or a line for each percent if it is asked for.
// One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "fusefs/merge_progress.h"

namespace snapfs {

class StoreProgress {
 public:
  StoreProgress(const std::string& name, bool always);
  // What is printed next begins a line.
  ~StoreProgress() { clear(); }
  StoreProgress(const StoreProgress&) = delete;
  StoreProgress& operator=(const StoreProgress&) = delete;

  void show_records(uint64_t records);
  void show_bytes(uint64_t done, uint64_t total);
  // Takes the line away, so that something else can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool is_time();

  const std::string prefix_;
  const bool always_;
  const bool is_terminal_;
  MergePace pace_;
  std::optional<Clock::time_point> shown_;
  std::optional<uint64_t> percent_;
  bool has_line_ = false;
};

}  // namespace snapfs

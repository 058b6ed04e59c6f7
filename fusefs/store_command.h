// SPDX-License-Identifier: MIT
//
// What the commands on stores have in common: exit statuses, options, findings
// in words.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/store_check.h"
#include "fusefs/store_progress.h"

namespace snapfs {

// As fsck(8) has them.
enum StoreExit : int {
  kStoreClean = 0,
  kStoreRepaired = 1,
  kStoreErrorsLeft = 4,
  kStoreTrouble = 8,
  kStoreUsage = 16,
  kStoreInterrupted = 32,
};

// Runs a command; what it throws becomes a message and a status.
int run_store_command(const std::function<int()>& command);

// The one COW among the words of a command line. Throws UsageError.
std::string only_word(const std::vector<std::string>& words, const char* name);

// The argument of --chunk-size: bytes with a unit, or sectors. Throws
// UsageError.
uint64_t parse_chunk_sectors(const std::string& text);

// "PATH: byte 4176, record 5: new-beyond: ..."
std::string finding_line(const std::string& path, const Finding& finding);

// Prints findings to stdout, out of the way of `progress`.
FindingSink print_findings(const std::string& path, StoreProgress& progress);

// For CheckOptions::progress: shows it, and ends for Ctrl-C.
ScanProgress show_scan(StoreProgress& progress);

// "1 record", "2 records"
std::string counted(uint64_t number, const std::string& noun);

// Throws std::runtime_error if nothing can be told of the records.
void require_layout(const StoreCheck& check, const std::string& path);

}  // namespace snapfs

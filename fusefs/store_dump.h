// SPDX-License-Identifier: MIT
//
// The metadata of a store in a file: its first sector, its records, and what is
// dead behind them, so that a restored store is the same byte by byte. As text
// for people and awk, or as JSON. snapfs-store(8) describes both. Stateless.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "core/block_device.h"
#include "core/store_check.h"
#include "core/store_scan.h"

namespace snapfs {

// What a dump calls itself.
inline constexpr const char* kDumpFormat = "snapfs-dump";
inline constexpr uint64_t kDumpVersion = 1;

enum class DumpFormat { text, json };

struct DumpHead {
  std::string device;  // the path, to be read by people
  uint64_t device_bytes = 0;
  HeaderSector sector;
  uint64_t chunk_sectors = 0;
};

// Throws std::runtime_error if neither the header nor `chunk_sectors` tells the
// chunk size, and std::system_error.
DumpHead read_dump_head(BlockDevice& cow, const std::string& path,
                        std::optional<uint64_t> chunk_sectors);

// Writes a dump of the store. Where the log has no end, or cannot be read to
// its end, what it returns says so, and the dump has the records up to there.
// Throws std::system_error if `out` fails, and what `progress` throws.
LogEnd write_dump(BlockDevice& cow, const DumpHead& head, DumpFormat format,
                  std::FILE* out, const ScanProgress& progress);

}  // namespace snapfs

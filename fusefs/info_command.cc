// SPDX-License-Identifier: MIT
#include "fusefs/info_command.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "core/revert_note.h"
#include "fusefs/argument_parser.h"
#include "fusefs/store_command.h"
#include "fusefs/store_device.h"

namespace snapfs {
namespace {

void print(const char* key, const std::string& value) {
  std::printf("%s: %s\n", key, value.c_str());
}

void print(const char* key, uint64_t value) {
  print(key, std::to_string(value));
}

// As dmsetup prints it: sectors allocated / all, of metadata.
std::string usage(const StoreCheck& check) {
  const StoreLayout layout = check.bounds->layout;
  const uint64_t chunk = layout.chunk_size().sectors();
  const uint64_t next_free =
      layout.skip_metadata(std::max(check.records.new_end, kFirstDataChunk));
  const uint64_t areas = layout.area_of_slot(check.records.end.slot) + 1;
  return std::to_string(next_free * chunk) + "/" +
         std::to_string(check.bounds->cow_bytes / kSectorBytes) + " " +
         std::to_string((areas + 1) * chunk);
}

void print_records(const StoreCheck& check) {
  const StoreLayout layout = check.bounds->layout;
  const ChunkSize chunk = layout.chunk_size();
  const RecordCheck& records = check.records;
  print("chunk_size", std::to_string(chunk.bytes()) + " # " +
                          counted(chunk.sectors(), "sector"));
  print("records", records.end.slot);
  print("metadata_areas", layout.area_of_slot(records.end.slot) + 1);
  print("data_bytes", chunk.start_of(records.end.slot));
  print("usage", usage(check));
  // No smaller one can be the store's.
  print("origin_at_least_bytes",
        records.old_end == 0 ? 0 : chunk.start_of(records.old_end - 1) + 1);
  print("records_behind_end", records.end.behind);
}

int info(const std::string& path) {
  StoreDevices devices;
  const OpenedDevice cow = devices.open_to_read(path);
  StoreProgress progress(path, false);
  CheckOptions options;
  options.progress = show_scan(progress);
  const StoreCheck check =
      check_store(*cow.device, options, [](const Finding&) {});
  progress.clear();
  if (!check.sector || check.sector->header().magic != kMagic)
    throw std::runtime_error(path + ": not a store");

  const DiskHeader header = check.sector->header();
  print("device", path);
  print("device_bytes", cow.device->size());
  print("version", header.version);
  print("valid", header.valid != 0 ? "yes" : "no");
  if (unpack_revert_note(check.sector->bytes)) print("revert", "under way");
  if (check.bounds) print_records(check);
  print("errors", check.errors);
  return kStoreClean;
}

}  // namespace

int run_info(const std::vector<std::string>& arguments) {
  return run_store_command([&] {
    return info(only_word(
        parse_arguments(arguments, "", {}, [](int, const std::string&) {}),
        "COW"));
  });
}

}  // namespace snapfs

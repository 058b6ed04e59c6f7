// SPDX-License-Identifier: MIT
#include "fusefs/dump_command.h"

#include <cstdio>
#include <optional>

#include "fusefs/argument_parser.h"
#include "fusefs/log.h"
#include "fusefs/mount_options.h"
#include "fusefs/store_command.h"
#include "fusefs/store_device.h"
#include "fusefs/store_dump.h"

namespace snapfs {
namespace {

struct Wish {
  std::string cow;
  DumpFormat format = DumpFormat::text;
  std::optional<uint64_t> chunk_sectors;
};

DumpFormat parse_format(const std::string& text) {
  if (text == "text") return DumpFormat::text;
  if (text == "json") return DumpFormat::json;
  throw UsageError("the format is text or json, not " + text);
}

Wish parse_wish(const std::vector<std::string>& arguments) {
  Wish wish;
  wish.cow = only_word(
      parse_arguments(arguments, "f:c:",
                      {{"format", required_argument, nullptr, 'f'},
                       {"chunk-size", required_argument, nullptr, 'c'}},
                      [&](int letter, const std::string& argument) {
                        if (letter == 'f') wish.format = parse_format(argument);
                        if (letter == 'c')
                          wish.chunk_sectors = parse_chunk_sectors(argument);
                      }),
      "COW");
  return wish;
}

int dump(const Wish& wish) {
  StoreDevices devices;
  const OpenedDevice cow = devices.open_to_read(wish.cow);
  const DumpHead head =
      read_dump_head(*cow.device, wish.cow, wish.chunk_sectors);
  StoreProgress progress(wish.cow, false);
  const LogEnd end =
      write_dump(*cow.device, head, wish.format, stdout, show_scan(progress));
  progress.clear();
  if (end.kind == LogEnd::Kind::found) return kStoreClean;
  log_message(Severity::error,
              wish.cow +
                  ": the log has no end that can be read; the dump has "
                  "what is in front of byte " +
                  std::to_string(end.offset));
  return kStoreErrorsLeft;
}

}  // namespace

int run_dump(const std::vector<std::string>& arguments) {
  return run_store_command([&] { return dump(parse_wish(arguments)); });
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/check_command.h"

#include <cstdio>
#include <optional>

#include "fusefs/argument_parser.h"
#include "fusefs/store_command.h"
#include "fusefs/store_device.h"

namespace snapfs {
namespace {

struct Wish {
  std::string cow;
  std::optional<std::string> origin;
  std::optional<uint64_t> chunk_sectors;
  bool is_quiet = false;
  bool shows_progress = false;
};

Wish parse_wish(const std::vector<std::string>& arguments) {
  Wish wish;
  wish.cow = only_word(
      parse_arguments(arguments, "o:c:qp",
                      {{"origin", required_argument, nullptr, 'o'},
                       {"chunk-size", required_argument, nullptr, 'c'},
                       {"quiet", no_argument, nullptr, 'q'},
                       {"progress", no_argument, nullptr, 'p'}},
                      [&](int letter, const std::string& argument) {
                        if (letter == 'o') wish.origin = argument;
                        if (letter == 'c')
                          wish.chunk_sectors = parse_chunk_sectors(argument);
                        if (letter == 'q') wish.is_quiet = true;
                        if (letter == 'p') wish.shows_progress = true;
                      }),
      "COW");
  return wish;
}

int check(const Wish& wish) {
  StoreDevices devices;
  const OpenedDevice cow = devices.open_to_read(wish.cow);
  CheckOptions options;
  options.chunk_sectors = wish.chunk_sectors;
  if (wish.origin) options.origin_bytes = size_of_device(devices, *wish.origin);
  StoreProgress progress(wish.cow, wish.shows_progress);
  options.progress = show_scan(progress);
  const FindingSink print = wish.is_quiet ? [](const Finding&) {}
                                          : print_findings(wish.cow, progress);
  const StoreCheck found = check_store(*cow.device, options, print);
  progress.clear();
  if (!wish.is_quiet) {
    std::string line = wish.cow + ": ";
    if (found.bounds) {
      line += counted(found.records.end.slot, "record") + ", ";
    } else {
      line += "records not looked at, ";
    }
    line += found.errors == 0 ? "no errors" : counted(found.errors, "error");
    std::puts(line.c_str());
  }
  return found.errors == 0 ? kStoreClean : kStoreErrorsLeft;
}

}  // namespace

int run_check(const std::vector<std::string>& arguments) {
  return run_store_command([&] { return check(parse_wish(arguments)); });
}

}  // namespace snapfs

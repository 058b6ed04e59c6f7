// SPDX-License-Identifier: MIT
#include "fusefs/salvage_command.h"

#include <cstdio>
#include <optional>
#include <stdexcept>
#include <variant>

#include "config/table_reader.h"
#include "config/table_writer.h"
#include "fusefs/argument_parser.h"
#include "fusefs/control_files.h"
#include "fusefs/exit_status.h"
#include "fusefs/mount_options.h"

namespace snapfs {
namespace {

struct Wish {
  std::optional<std::string> directory;  // -m
  bool lists = false;
  std::string device;
  std::string name;  // of the salvage; empty: NAME.salvage
};

Wish parse_wish(const std::vector<std::string>& arguments) {
  Wish wish;
  const std::vector<std::string> rest =
      parse_arguments(arguments, "m:l", {{"list", no_argument, nullptr, 'l'}},
                      [&](int letter, const std::string& argument) {
                        if (letter == 'm') wish.directory = argument;
                        if (letter == 'l') wish.lists = true;
                      });
  if (rest.empty()) throw UsageError("DEVICE is missing");
  const std::size_t most = wish.lists ? 1 : 2;
  if (rest.size() > most)
    throw UsageError("one argument too many: " + rest[most]);
  wish.device = rest[0];
  if (rest.size() == 2) wish.name = rest[1];
  return wish;
}

int list(const MountedDevice& device) {
  if (target_of(device) != "snapshot-salvage")
    throw std::runtime_error(device.name + " is no salvage; `snapfs salvage " +
                             device.name + "` makes one of a snapshot");
  const std::string text = read_text(device.control("untrusted"));
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kExitOk;
}

// It has the snapshot's length, and its file the same owner and mode.
Table salvage_table(const MountedDevice& snapshot, const std::string& name) {
  const Table source = read_live_table(snapshot);
  const auto& live = std::get<SnapshotTable>(source.target);
  Table table;
  table.name = name;
  table.attributes = source.attributes;
  SnapshotTable target;
  target.origin = live.origin;
  target.cow.path = live.cow.path;
  target.length_sectors = live.length_sectors;
  table.target = target;
  return table;
}

}  // namespace

int run_salvage(const std::vector<std::string>& arguments) {
  const Wish wish = parse_wish(arguments);
  const MountedDevice device = find_device(wish.device, wish.directory);
  if (wish.lists) return list(device);
  if (target_of(device) != "snapshot")
    throw std::runtime_error(device.name + " is no live snapshot");
  const std::string name =
      wish.name.empty() ? device.name + ".salvage" : wish.name;
  if (!is_device_name(name))
    throw UsageError("not a name for a device: " + name);
  const MountedDevice salvage{device.mount_point, name};
  if (!load_table(salvage, salvage_text(salvage_table(device, name))))
    return kExitSystemError;
  const std::string status = read_text(salvage.control("status"));
  std::printf("%s: %s bytes in %s ranges are not to be trusted\n",
              salvage.file().c_str(),
              value_of(status, "untrusted_bytes").c_str(),
              value_of(status, "untrusted_ranges").c_str());
  return kExitOk;
}

}  // namespace snapfs

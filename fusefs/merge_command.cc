// SPDX-License-Identifier: MIT
#include "fusefs/merge_command.h"

#include <optional>
#include <stdexcept>
#include <variant>

#include "config/table_reader.h"
#include "config/table_writer.h"
#include "fusefs/argument_parser.h"
#include "fusefs/control_files.h"
#include "fusefs/copy_command.h"
#include "fusefs/exit_status.h"
#include "fusefs/mount_options.h"

namespace snapfs {
namespace {

struct Wish {
  std::string device;
  std::optional<std::string> directory;  // -m
  MergeOptions options;
  bool keeps_name = false;
  bool waits = false;

  bool is_only_to_wait() const {
    return options.rate == 0 && options.also_as.empty() && !options.force &&
           !keeps_name;
  }
};

Wish parse_wish(const std::vector<std::string>& arguments) {
  Wish wish;
  auto take = [&](int letter, const std::string& argument) {
    switch (letter) {
      case 'm':
        wish.directory = argument;
        break;
      case 'w':
        wish.waits = true;
        break;
      case 'r':
        wish.options.rate = parse_rate(argument);
        break;
      case 'k':
        wish.keeps_name = true;
        break;
      case 'a':
        wish.options.also_as.push_back(argument);
        break;
      default:
        wish.options.force = true;
    }
  };
  const std::vector<std::string> rest =
      parse_arguments(arguments, "m:wr:ka:f",
                      {{"wait", no_argument, nullptr, 'w'},
                       {"rate", required_argument, nullptr, 'r'},
                       {"keep-name", no_argument, nullptr, 'k'},
                       {"also-as", required_argument, nullptr, 'a'},
                       {"force", no_argument, nullptr, 'f'}},
                      take);
  if (rest.empty()) throw UsageError("DEVICE is missing");
  if (rest.size() > 1) throw UsageError("one argument too many: " + rest[1]);
  wish.device = rest[0];
  for (const std::string& name : wish.options.also_as)
    if (!is_device_name(name))
      throw UsageError("not a name for a device: " + name);
  return wish;
}

Table merge_table(const MountedDevice& snapshot, const MountedDevice& origin,
                  const Wish& wish) {
  const Table source = read_live_table(snapshot);
  const Table target = read_live_table(origin);
  Table table;
  table.name = origin.name;
  table.activate = Activate::now;
  // The file stays as it is.
  table.attributes = target.attributes;
  SnapshotTable merge;
  const auto* plain = std::get_if<OriginTable>(&target.target);
  merge.origin = plain != nullptr ? plain->device : origin.name;
  const auto& live = std::get<SnapshotTable>(source.target);
  merge.cow.path = live.cow.path;
  merge.store = live.store;
  merge.merge = wish.options;
  if (wish.keeps_name) merge.merge->also_as.push_back(snapshot.name);
  table.target = merge;
  return table;
}

CopyWords merge_words() {
  return {"merge", "merging", "merged", read_merge_status};
}

// One that is under way already.
int follow_again(const MountedDevice& device, const Wish& wish) {
  if (!wish.is_only_to_wait() || !wish.waits)
    throw std::runtime_error(device.name +
                             " is merging already; --wait alone follows it, "
                             "and a table changes its rate");
  const std::string first = first_name_of(device);
  return follow({device.mount_point, first.empty() ? device.name : first},
                merge_words());
}

}  // namespace

int run_merge(const std::vector<std::string>& arguments) {
  const Wish wish = parse_wish(arguments);
  const MountedDevice device = find_device(wish.device, wish.directory);
  const std::string target = target_of(device);
  if (target == "snapshot-merge") return follow_again(device, wish);
  if (target != "snapshot")
    throw std::runtime_error(device.name +
                             " is no live snapshot; the snapshot is named, "
                             "and its origin found");
  const MountedDevice origin =
      origin_of(device,
                "; load a table with `target: snapshot-merge` under the name "
                "that it is to have");
  if (!load_table(origin, merge_text(merge_table(device, origin, wish))))
    return kExitSystemError;
  return wish.waits ? follow(origin, merge_words()) : int{kExitOk};
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/revert_command.h"

#include <cstdint>
#include <optional>
#include <stdexcept>

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
  std::optional<uint64_t> rate;          // bytes a second
  bool waits = false;
  bool forces = false;
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
        wish.rate = parse_rate(argument);
        break;
      default:
        wish.forces = true;
    }
  };
  const std::vector<std::string> rest =
      parse_arguments(arguments, "m:wr:f",
                      {{"wait", no_argument, nullptr, 'w'},
                       {"rate", required_argument, nullptr, 'r'},
                       {"force", no_argument, nullptr, 'f'}},
                      take);
  if (rest.empty()) throw UsageError("DEVICE is missing");
  if (rest.size() > 1) throw UsageError("one argument too many: " + rest[1]);
  wish.device = rest[0];
  return wish;
}

CopyWords revert_words() {
  return {"revert", "being reverted", "reverted", read_revert_status};
}

// As StateNode takes it.
std::string command_of(const Wish& wish) {
  std::string command = "revert";
  if (wish.rate) command += " rate=" + std::to_string(*wish.rate);
  if (wish.forces) command += " force";
  return command;
}

}  // namespace

int run_revert(const std::vector<std::string>& arguments) {
  const Wish wish = parse_wish(arguments);
  const MountedDevice device = find_device(wish.device, wish.directory);
  if (target_of(device) != "snapshot")
    throw std::runtime_error(device.name +
                             " is no live snapshot; the snapshot is named, "
                             "and its origin found");
  const MountedDevice origin = origin_of(device, "");
  const std::string status = read_text(origin.control("status"));
  const bool is_under_way = value_of(status, "revert_to") == device.name;
  // Of one that is under way, the rate can be another one, and it can be
  // followed.
  std::string command = command_of(wish);
  if (is_under_way && !wish.forces)
    command = wish.rate ? "revert-rate " + std::to_string(*wish.rate) : "";
  if (command.empty() && !wish.waits)
    throw std::runtime_error(origin.name + " is being reverted to " +
                             device.name +
                             " already; --wait follows it, and --rate changes "
                             "its rate");
  if (!command.empty() &&
      !act(device, [&] { return write_state(device, command); }))
    return kExitSystemError;
  return wish.waits ? follow(origin, revert_words()) : int{kExitOk};
}

}  // namespace snapfs

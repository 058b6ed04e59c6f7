// SPDX-License-Identifier: MIT
#include "fusefs/merge_command.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <variant>

#include "config/table_reader.h"
#include "config/table_writer.h"
#include "config/units.h"
#include "fusefs/argument_parser.h"
#include "fusefs/control_files.h"
#include "fusefs/exit_status.h"
#include "fusefs/log.h"
#include "fusefs/merge_progress.h"
#include "fusefs/mount_options.h"

namespace snapfs {
namespace {

constexpr std::chrono::milliseconds kPollInterval{200};

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

// Bytes a second; a number without a unit is bytes.
uint64_t parse_rate(std::string text) {
  if (text.ends_with("/s")) text.resize(text.size() - 2);
  const std::optional<Size> size = parse_size(text);
  if (!size || size->number == 0)
    throw UsageError("not a rate, such as 50MiB: " + text);
  // Sizes in tables are whole sectors.
  return std::max<uint64_t>(size->number / 512, 1) * 512;
}

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

// The device whose second name this is; empty: of none.
std::string first_name_of(const MountedDevice& device) {
  constexpr std::string_view kWords = "second name of ";
  std::istringstream lines(read_text(device.control("state")));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kWords)) return line.substr(kWords.size());
  }
  return "";
}

// The device that is the snapshot's origin: both say what they lie on in the
// same words.
MountedDevice origin_of(const MountedDevice& snapshot) {
  const std::string wanted =
      value_of(read_text(snapshot.control("status")), "origin");
  for (const MountedDevice& device : all_devices(snapshot.mount_point)) {
    const std::string target = target_of(device);
    const bool is_merge = target == "snapshot-merge";
    if (target != "snapshot-origin" && !is_merge) continue;
    const std::string status = read_text(device.control("status"));
    if (value_of(status, is_merge ? "origin" : "device") == wanted &&
        first_name_of(device).empty())
      return device;
  }
  throw std::runtime_error(
      snapshot.name + ": its origin, " + wanted +
      ", is no device of this mount; load a table with `target: "
      "snapshot-merge` under the name that it is to have");
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

unsigned terminal_columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return 80;
  return size.ws_col;
}

// Tells how far it is: a bar that moves, or a line for each tenth.
class Reporter {
 public:
  explicit Reporter(std::string name)
      : prefix_(name + ": "), is_terminal_(::isatty(STDOUT_FILENO) == 1) {}

  void show(const MergeStatus& status) {
    pace_.note(MergePace::Clock::now(), status.merged);
    total_ = std::max(total_, status.total);
    if (is_terminal_) return show_bar(status);
    const uint64_t tenth =
        status.total == 0 ? 10 : status.merged * 10 / status.total;
    if (tenth == tenth_ && status.phase == phase_) return;
    tenth_ = tenth;
    phase_ = status.phase;
    print(prefix_ + merge_line(status, pace_.rate()) + "\n");
  }

  // What is printed next begins a line.
  void end() {
    if (has_bar_) print("\n");
    has_bar_ = false;
  }

  void finished() {
    const MergeStatus all{MergeStatus::Phase::running, total_, total_, ""};
    if (has_bar_) show_bar(all);
    end();
    print(prefix_ + "merged\n");
  }

 private:
  void show_bar(const MergeStatus& status) {
    const unsigned columns = terminal_columns();
    const auto taken = static_cast<unsigned>(prefix_.size());
    has_bar_ = true;
    print(
        "\r" + prefix_ +
        merge_bar(status, pace_.rate(), std::max(columns, taken + 20) - taken) +
        "\033[K");
  }
  static void print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }

  const std::string prefix_;
  const bool is_terminal_;
  MergePace pace_;
  uint64_t total_ = 0;
  std::optional<uint64_t> tenth_;
  std::optional<MergeStatus::Phase> phase_;
  bool has_bar_ = false;
};

int follow(const MountedDevice& device) {
  Reporter reporter(device.name);
  for (;;) {
    const std::string text = read_text(device.control("status"));
    const MergeStatus status = read_merge_status(text);
    switch (status.phase) {
      case MergeStatus::Phase::ended:
        if (text.find(" snapshot-origin ") == std::string::npos) {
          reporter.end();
          throw std::runtime_error(device.name + " is not merging any more");
        }
        reporter.finished();
        return kExitOk;
      case MergeStatus::Phase::failed:
        reporter.end();
        throw std::runtime_error(device.name +
                                 ": the merge failed: " + status.reason +
                                 "; nothing is lost, and `snapfs resume " +
                                 device.name + "` tries again");
      case MergeStatus::Phase::running:
      case MergeStatus::Phase::suspended:
        reporter.show(status);
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

// One that is under way already.
int follow_again(const MountedDevice& device, const Wish& wish) {
  if (!wish.is_only_to_wait() || !wish.waits)
    throw std::runtime_error(device.name +
                             " is merging already; --wait alone follows it, "
                             "and a table changes its rate");
  const std::string first = first_name_of(device);
  return follow({device.mount_point, first.empty() ? device.name : first});
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
  const MountedDevice origin = origin_of(device);
  if (!load_table(origin, merge_text(merge_table(device, origin, wish))))
    return kExitSystemError;
  return wish.waits ? follow(origin) : int{kExitOk};
}

}  // namespace snapfs

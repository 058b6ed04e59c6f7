// SPDX-License-Identifier: MIT
#include "fusefs/copy_command.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include "config/units.h"
#include "fusefs/control_files.h"
#include "fusefs/exit_status.h"
#include "fusefs/mount_options.h"

namespace snapfs {
namespace {

constexpr std::chrono::milliseconds kPollInterval{200};

unsigned terminal_columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return 80;
  return size.ws_col;
}

// Tells how far it is: a bar that moves, or a line for each tenth.
class Reporter {
 public:
  Reporter(const std::string& name, std::string done)
      : prefix_(name + ": "),
        done_(std::move(done)),
        is_terminal_(::isatty(STDOUT_FILENO) == 1) {}

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
    print(prefix_ + done_ + "\n");
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
  const std::string done_;
  const bool is_terminal_;
  MergePace pace_;
  uint64_t total_ = 0;
  std::optional<uint64_t> tenth_;
  std::optional<MergeStatus::Phase> phase_;
  bool has_bar_ = false;
};

}  // namespace

uint64_t parse_rate(std::string text) {
  if (text.ends_with("/s")) text.resize(text.size() - 2);
  const std::optional<Size> size = parse_size(text);
  if (!size || size->number == 0)
    throw UsageError("not a rate, such as 50MiB: " + text);
  // Sizes in tables are whole sectors.
  return std::max<uint64_t>(size->number / 512, 1) * 512;
}

std::string first_name_of(const MountedDevice& device) {
  constexpr std::string_view kWords = "second name of ";
  std::istringstream lines(read_text(device.control("state")));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kWords)) return line.substr(kWords.size());
  }
  return "";
}

MountedDevice origin_of(const MountedDevice& snapshot,
                        const std::string& hint) {
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
  throw std::runtime_error(snapshot.name + ": its origin, " + wanted +
                           ", is no device of this mount" + hint);
}

int follow(const MountedDevice& device, const CopyWords& words) {
  Reporter reporter(device.name, words.done);
  for (;;) {
    const std::string text = read_text(device.control("status"));
    const MergeStatus status = words.read_status(text);
    switch (status.phase) {
      case MergeStatus::Phase::ended:
        if (text.find(" snapshot-origin ") == std::string::npos) {
          reporter.end();
          throw std::runtime_error(device.name + " is not " + words.doing +
                                   " any more");
        }
        reporter.finished();
        return kExitOk;
      case MergeStatus::Phase::failed:
        reporter.end();
        throw std::runtime_error(device.name + ": the " + words.what +
                                 " failed: " + status.reason +
                                 "; nothing is lost, and `snapfs resume " +
                                 device.name + "` tries again");
      case MergeStatus::Phase::running:
      case MergeStatus::Phase::suspended:
        reporter.show(status);
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

}  // namespace snapfs

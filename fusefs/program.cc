// SPDX-License-Identifier: MIT
#include "fusefs/program.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "fusefs/check_command.h"
#include "fusefs/control_client.h"
#include "fusefs/dump_command.h"
#include "fusefs/exit_status.h"
#include "fusefs/fuse.h"
#include "fusefs/info_command.h"
#include "fusefs/log.h"
#include "fusefs/merge_command.h"
#include "fusefs/mount_command.h"
#include "fusefs/options.h"
#include "fusefs/repair_command.h"
#include "fusefs/restore_command.h"
#include "fusefs/revert_command.h"
#include "fusefs/salvage_command.h"
#include "fusefs/unmount.h"

namespace snapfs {
namespace {

using Words = std::vector<std::string>;

void print_version() {
  std::printf("snapfs %s, libfuse %s\n", SNAPFS_VERSION, fuse_pkgversion());
}

int run_mount_command(FlagStyle style, const Words& words) {
  const MountCommand command = parse_mount_command(style, words);
  switch (command.request) {
    case Request::help:
      std::fputs(mount_help(style).c_str(), stdout);
      return kExitOk;
    case Request::version:
      print_version();
      return kExitOk;
    case Request::mount:
      return run_mount(command.options);
  }
  return kExitUsage;
}

int run_snapfs_mount(const Words& words) {
  return run_mount_command(FlagStyle::fuse, words);
}

int run_mount_helper(const Words& words) {
  return run_mount_command(FlagStyle::mount, words);
}

int run_unmount_command(const Words& words) {
  return run_unmount(parse_unmount_command(words));
}

struct Subcommand {
  std::string_view name;
  int (*run)(const Words&);
  const char* arguments;
  const char* summary;
};

constexpr Subcommand kSubcommands[] = {
    {"mount", run_snapfs_mount, "SPEC DIR [-fdrv] [-o OPTIONS]",
     "mount the devices of SPEC on DIR"},
    {"umount", run_unmount_command, "[-lfv] DIR",
     "unmount, and wait until the devices are free"},
    {"ls", run_ls, "[[-m] DIR]", "list the devices"},
    {"status", run_status, "[-m DIR] [DEVICE...]", "print what dmsetup would"},
    {"state", run_state, "[-m DIR] [DEVICE...]",
     "print what the devices are doing"},
    {"table", run_table, "[-m DIR] [DEVICE...]", "print the live tables"},
    {"load", run_load, "[-m DIR] [-n NAME] FILE...",
     "load the tables in these files"},
    {"suspend", run_suspend, "[-m DIR] DEVICE...",
     "let requests on devices wait; hand over what has waited for it"},
    {"resume", run_resume, "[-m DIR] DEVICE...",
     "let devices go on, under the next table if there is one"},
    {"merge", run_merge,
     "[-m DIR] [--wait] [--rate BYTES/s] [--keep-name] [--also-as NAME]\n"
     "      [--force] DEVICE",
     "merge a snapshot into its origin"},
    {"revert", run_revert,
     "[-m DIR] [--wait] [--rate BYTES/s] [--force] DEVICE",
     "bring an origin back to a snapshot, which stays"},
    {"salvage", run_salvage, "[-m DIR] DEVICE [NAME] | --list DEVICE",
     "show what is left of an invalid snapshot, and what not to trust of it"},
    {"clear", run_clear, "[-m DIR] DEVICE...", "drop the next table"},
    {"abort", run_abort, "[-m DIR] DEVICE...",
     "answer EIO to what waits on suspended devices"},
    {"remove", run_remove, "[-m DIR] DEVICE...", "remove devices"},
    {"reload", run_reload, "[[-m] DIR]",
     "read SPEC again and apply its changes"},
    {"events", run_events, "[-m DIR]", "print events as they come"},
    {"info", run_info, "COW", "say what a store is"},
    {"check", run_check,
     "COW [--origin DEV] [--chunk-size SIZE] [--quiet] [--progress]",
     "look for errors in a store"},
    {"dump", run_dump, "COW [--format text|json] [--chunk-size SIZE]",
     "print the metadata of a store"},
    {"repair", run_repair,
     "COW --output NEWCOW | --in-place --backup FILE\n"
     "      [--origin DEV] [--chunk-size SIZE] [--set-valid] [--force] "
     "[--progress]",
     "make a sound store of what is sound in a damaged one"},
    {"restore", run_restore, "DUMP COW [--force]",
     "write the metadata of a dump back"},
};

void print_usage() {
  std::puts("usage: snapfs SUBCOMMAND [ARGUMENTS]\n");
  for (const Subcommand& subcommand : kSubcommands) {
    std::printf("  snapfs %s %s\n      %s\n", subcommand.name.data(),
                subcommand.arguments, subcommand.summary);
  }
  std::puts(
      "\nA DEVICE is the path of its file, or NAME with -m DIR, or NAME alone "
      "when one\nsnapfs is mounted. See snapfs(8). A COW is the device or file "
      "of a "
      "store; see\nsnapfs-store(8).");
}

const Subcommand* find_subcommand(const std::string& name) {
  const Subcommand* found = std::find_if(
      std::begin(kSubcommands), std::end(kSubcommands),
      [&](const Subcommand& subcommand) { return subcommand.name == name; });
  return found == std::end(kSubcommands) ? nullptr : found;
}

bool asks_for_help(const Words& words) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::find(words.begin(), end, "-h") != end ||
         std::find(words.begin(), end, "--help") != end;
}

int run_subcommand(const Subcommand& subcommand, const Words& words) {
  if (subcommand.run != run_snapfs_mount && asks_for_help(words)) {
    std::printf("usage: snapfs %s %s\n", subcommand.name.data(),
                subcommand.arguments);
    return kExitOk;
  }
  return subcommand.run(words);
}

int run_snapfs(const Words& words) {
  if (words.empty()) throw UsageError("no subcommand given");
  const std::string& first = words[0];
  if (first == "-h" || first == "--help" || first == "help") {
    print_usage();
    return kExitOk;
  }
  if (first == "-V" || first == "--version") {
    print_version();
    return kExitOk;
  }
  const Words rest(words.begin() + 1, words.end());
  if (const Subcommand* subcommand = find_subcommand(first))
    return run_subcommand(*subcommand, rest);
  // mount(8) with the type fuse.snapfs runs `snapfs SPEC DIR -o OPTIONS`.
  if (first.find('/') != std::string::npos) return run_snapfs_mount(words);
  throw UsageError("unknown subcommand: " + first);
}

// Files that are opened must not become standard streams.
void open_standard_streams() {
  int fd = 0;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) ::close(fd);
}

bool is_mount_helper(std::string_view name) {
  return name.starts_with("mount.");
}

bool is_unmount_helper(std::string_view name) {
  return name.starts_with("umount.");
}

bool is_helper(std::string_view name) {
  return is_mount_helper(name) || is_unmount_helper(name);
}

int run_by_name(std::string_view name, const Words& words) {
  if (is_mount_helper(name)) return run_mount_helper(words);
  if (is_unmount_helper(name)) return run_unmount_command(words);
  return run_snapfs(words);
}

// Output that did not arrive is a failure.
int flushed(int status) {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return status;
  if (status == kExitOk) log_message(Severity::error, "cannot write to stdout");
  return status == kExitOk ? int{kExitSystemError} : status;
}

}  // namespace

int run_program(int argc, char** argv) {
  open_standard_streams();
  const std::string_view path = argc > 0 ? argv[0] : "snapfs";
  const std::size_t slash = path.rfind('/');
  // A part at the end of argv[0], so it ends where that does.
  const std::string_view name =
      slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (is_helper(name)) set_log_name(name.data());
  try {
    const Words words(argv + std::min(argc, 1), argv + argc);
    return flushed(run_by_name(name, words));
  } catch (const UsageError& error) {
    log_message(Severity::error, error.what());
    std::fprintf(stderr, "Try --help.\n");
    return kExitUsage;
  } catch (const std::exception& error) {
    log_message(Severity::error, error.what());
    return kExitSystemError;
  }
}

}  // namespace snapfs

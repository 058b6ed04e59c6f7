// SPDX-License-Identifier: MIT
#include "fusefs/options.h"

#include "fusefs/argument_parser.h"

namespace snapfs {
namespace {

// Filled by the flags before the -o strings are taken: -s may stand after -o
// and speaks for all of them.
struct Flags {
  Request request = Request::mount;
  std::vector<std::string> option_strings;
  MountOptions options;
};

void take_common(int letter, const std::string& argument, Flags& flags) {
  switch (letter) {
    case 'h':
      // The first of -h and -V wins.
      if (flags.request == Request::mount) flags.request = Request::help;
      break;
    case 'V':
      if (flags.request == Request::mount) flags.request = Request::version;
      break;
    case 'o':
      flags.option_strings.push_back(argument);
      break;
    case 'r':
      flags.option_strings.push_back("ro");
      break;
    case 'w':
      flags.option_strings.push_back("rw");
      break;
    case 'v':
      flags.options.verbose = true;
      break;
    default:
      break;
  }
}

void take_fuse_flag(int letter, const std::string& argument, Flags& flags) {
  switch (letter) {
    case 'f':
      flags.options.foreground = true;
      break;
    case 'd':
      flags.options.debug = true;
      break;
    case 's':
      flags.option_strings.push_back("max_threads=1");
      break;
    default:
      take_common(letter, argument, flags);
  }
}

void take_mount_flag(int letter, const std::string& argument, Flags& flags) {
  switch (letter) {
    case 'f':
      flags.options.fake = true;
      break;
    case 's':
      flags.options.sloppy = true;
      break;
    case 'N':
      flags.options.mount_namespace = argument;
      break;
    case 'n':  // there is no mtab to keep out of
    case 't':  // the type that led here
      break;
    default:
      take_common(letter, argument, flags);
  }
}

Flags parse_flags(FlagStyle style, const std::vector<std::string>& arguments,
                  std::vector<std::string>& words) {
  Flags flags;
  if (style == FlagStyle::fuse) {
    words = parse_arguments(arguments, "hVfdsrwvo:", {},
                            [&](int letter, const std::string& argument) {
                              take_fuse_flag(letter, argument, flags);
                            });
  } else {
    words = parse_arguments(arguments, "hVfsnvrwN:o:t:", {},
                            [&](int letter, const std::string& argument) {
                              take_mount_flag(letter, argument, flags);
                            });
  }
  return flags;
}

}  // namespace

MountCommand parse_mount_command(FlagStyle style,
                                 const std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  Flags flags = parse_flags(style, arguments, words);
  MountCommand command{flags.request, flags.options};
  if (command.request != Request::mount) return command;

  for (const std::string& text : flags.option_strings)
    take_option_string(text, command.options);
  if (command.options.debug) command.options.foreground = true;
  if (words.empty()) throw UsageError("SPEC and DIR are missing");
  if (words.size() == 1) throw UsageError("DIR is missing");
  if (words.size() > 2) throw UsageError("one argument too many: " + words[2]);
  command.options.spec = words[0];
  command.options.mount_point = words[1];
  return command;
}

std::string mount_help(FlagStyle style) {
  std::string text;
  if (style == FlagStyle::fuse) {
    text =
        "usage: snapfs mount SPEC DIR [-fdrv] [-o OPTION[,OPTION...]]...\n"
        "\n"
        "Mounts the devices that SPEC, a table file or a directory of *.yaml\n"
        "table files, describes as regular files in DIR.\n"
        "\n"
        "  -f  stay in the foreground\n"
        "  -d  the same, and print every request\n"
        "  -s  one thread\n";
  } else {
    text =
        "usage: mount.snapfs SPEC DIR [-fnrsv] [-N NAMESPACE] [-t TYPE]\n"
        "                    [-o OPTION[,OPTION...]]...\n"
        "\n"
        "The helper of mount -t snapfs; by hand, use snapfs mount.\n"
        "\n"
        "  -f  fake: check SPEC and DIR, mount nothing\n"
        "  -s  sloppy: ignore unknown options\n"
        "  -n  without effect\n"
        "  -N  mount in the mount namespace of a process, or in that of a "
        "file\n";
  }
  return text +
         "  -r  read-only\n"
         "  -v  say what was mounted\n"
         "  -h  print this help\n"
         "  -V  print the version\n"
         "\n"
         "Options: ro, rw, save, allow_other, uid=USER, gid=GROUP, "
         "fsname=NAME,\n"
         "foreground, debug, max_threads=N (32), clone_fd, context=CONTEXT "
         "and\n"
         "the generic ones of mount(8). See mount.snapfs(8).\n";
}

}  // namespace snapfs

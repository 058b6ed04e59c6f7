// SPDX-License-Identifier: MIT
#include "fusefs/control_client.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <sstream>
#include <string_view>

#include "config/table_reader.h"
#include "core/error.h"
#include "fusefs/argument_parser.h"
#include "fusefs/control_files.h"
#include "fusefs/exit_status.h"
#include "fusefs/log.h"
#include "fusefs/mount_options.h"
#include "fusefs/mounted_device.h"

namespace snapfs {
namespace {

// What the subcommands have in common on their command lines.
struct Words {
  std::optional<std::string> directory;  // -m
  std::optional<std::string> name;       // -n
  std::vector<std::string> rest;
};

Words parse_words(const std::vector<std::string>& arguments,
                  const std::string& letters) {
  Words words;
  words.rest = parse_arguments(arguments, letters, {},
                               [&](int letter, const std::string& argument) {
                                 if (letter == 'm') words.directory = argument;
                                 if (letter == 'n') words.name = argument;
                               });
  return words;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void list_device(const MountedDevice& device) {
  struct stat stat {};
  // One that is loaded, but not live yet, has no file.
  ::stat(device.file().c_str(), &stat);
  const std::string state = first_line(read_text(device.control("state")));
  std::printf("%-24s %16" PRIu64 " %16" PRIu64 " %-16s %s\n",
              device.name.c_str(), static_cast<uint64_t>(stat.st_size),
              static_cast<uint64_t>(stat.st_blocks) * 512,
              target_of(device).c_str(), state.c_str());
}

// What is loaded from a file is called as the file is, unless -n says other.
std::string name_for(const std::string& file,
                     const std::optional<std::string>& name) {
  if (name) return *name;
  if (file == "-") throw UsageError("a table from stdin needs -n NAME");
  return std::filesystem::path(file).stem();
}

std::string read_table_file(const std::string& file) {
  if (file != "-") return read_text(file);
  std::string text;
  read_pieces(STDIN_FILENO, "stdin", [&](const char* piece, std::size_t size) {
    text.append(piece, size);
  });
  return text;
}

int unlink_file(const std::string& path) {
  return ::unlink(path.c_str()) == 0 ? 0 : errno;
}

bool remove_device(const MountedDevice& device) {
  return act(device, [&] { return unlink_file(device.table()); });
}

// Does the same to each device that is named; goes on after an error.
int run_for_each(const std::vector<std::string>& arguments,
                 const std::function<bool(const MountedDevice&)>& action) {
  const Words words = parse_words(arguments, "m:");
  if (words.rest.empty()) throw UsageError("DEVICE is missing");
  int status = kExitOk;
  for (const std::string& word : words.rest) {
    if (!action(find_device(word, words.directory))) status = kExitSystemError;
  }
  return status;
}

int run_word(const std::vector<std::string>& arguments,
             const std::string& word) {
  return run_for_each(arguments, [&](const MountedDevice& device) {
    return act(device, [&] { return write_state(device, word); });
  });
}

}  // namespace

int run_ls(const std::vector<std::string>& arguments) {
  Words words = parse_words(arguments, "m:");
  if (words.rest.size() > 1)
    throw UsageError("one argument too many: " + words.rest[1]);
  if (!words.rest.empty()) words.directory = words.rest[0];
  std::printf("%-24s %16s %16s %-16s %s\n", "NAME", "SIZE", "USED", "TARGET",
              "STATE");
  for (const MountedDevice& device :
       all_devices(find_mount_point(words.directory)))
    list_device(device);
  return kExitOk;
}

int run_status(const std::vector<std::string>& arguments) {
  const Words words = parse_words(arguments, "m:");
  if (words.rest.empty()) {
    for (const MountedDevice& device :
         all_devices(find_mount_point(words.directory)))
      print(first_line(read_text(device.control("status"))) + "\n");
  }
  for (const std::string& word : words.rest)
    print(read_text(find_device(word, words.directory).control("status")));
  return kExitOk;
}

int run_state(const std::vector<std::string>& arguments) {
  const Words words = parse_words(arguments, "m:");
  if (words.rest.empty()) {
    for (const MountedDevice& device :
         all_devices(find_mount_point(words.directory)))
      print(device.name + ": " +
            first_line(read_text(device.control("state"))) + "\n");
  }
  for (const std::string& word : words.rest)
    print(read_text(find_device(word, words.directory).control("state")));
  return kExitOk;
}

int run_table(const std::vector<std::string>& arguments) {
  const Words words = parse_words(arguments, "m:");
  std::vector<MountedDevice> devices;
  if (words.rest.empty())
    devices = all_devices(find_mount_point(words.directory));
  for (const std::string& word : words.rest)
    devices.push_back(find_device(word, words.directory));
  for (std::size_t i = 0; i < devices.size(); ++i) {
    // Several are one text of several YAML documents.
    if (i > 0) print("---\n");
    print(read_text(devices[i].table()));
  }
  return kExitOk;
}

int run_load(const std::vector<std::string>& arguments) {
  const Words words = parse_words(arguments, "m:n:");
  if (words.rest.empty()) throw UsageError("FILE is missing");
  if (words.name && words.rest.size() > 1)
    throw UsageError("-n names one table, and there are several files");
  const std::string mount_point = find_mount_point(words.directory);
  for (const std::string& file : words.rest) {
    const MountedDevice device{mount_point, name_for(file, words.name)};
    if (!is_device_name(device.name))
      throw UsageError("not a name for a device: " + device.name);
    if (!load_table(device, read_table_file(file))) return kExitSystemError;
  }
  return kExitOk;
}

int run_suspend(const std::vector<std::string>& arguments) {
  return run_word(arguments, "suspend");
}

int run_resume(const std::vector<std::string>& arguments) {
  return run_word(arguments, "resume");
}

int run_abort(const std::vector<std::string>& arguments) {
  return run_word(arguments, "abort");
}

int run_clear(const std::vector<std::string>& arguments) {
  return run_for_each(arguments, [](const MountedDevice& device) {
    return act(device, [&] { return unlink_file(device.next_table()); });
  });
}

int run_remove(const std::vector<std::string>& arguments) {
  return run_for_each(arguments, remove_device);
}

// One open file: it reads as what came of its own write.
int run_reload(const std::vector<std::string>& arguments) {
  Words words = parse_words(arguments, "m:");
  if (words.rest.size() > 1)
    throw UsageError("one argument too many: " + words.rest[1]);
  if (!words.rest.empty()) words.directory = words.rest[0];
  const std::string path =
      find_mount_point(words.directory) + "/.control/reload";
  const UniqueFd file = open_file(path, O_RDWR);
  const int error = write_word(file.get(), "reload");
  std::string text;
  read_pieces(file.get(), path, [&](const char* piece, std::size_t size) {
    text.append(piece, size);
  });
  std::istringstream lines(text);
  constexpr std::string_view kError = "error: ";
  bool is_explained = error == 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kError)) {
      is_explained = true;
      log_placed_error(line.substr(kError.size()));
    } else {
      print(line + "\n");
    }
  }
  if (!is_explained) throw_errno(error, "write", path);
  return error == 0 ? kExitOk : kExitSystemError;
}

int run_events(const std::vector<std::string>& arguments) {
  const Words words = parse_words(arguments, "m:");
  if (!words.rest.empty())
    throw UsageError("one argument too many: " + words.rest[0]);
  const std::string path =
      find_mount_point(words.directory) + "/.control/events";
  const UniqueFd file = open_file(path, O_RDONLY);
  read_pieces(file.get(), path, [](const char* piece, std::size_t size) {
    std::fwrite(piece, 1, size, stdout);
    std::fflush(stdout);
  });
  return kExitOk;
}

}  // namespace snapfs

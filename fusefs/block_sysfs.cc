// SPDX-License-Identifier: MIT
#include "fusefs/block_sysfs.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

namespace snapfs {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDeletedMark = " (deleted)";

std::string sysfs_directory(dev_t block_device) {
  return "/sys/dev/block/" + number_text(block_device);
}

std::optional<dev_t> read_number(const std::string& directory) {
  std::string text = read_line(directory + "/dev");
  unsigned major_number = 0;
  unsigned minor_number = 0;
  // The kernel writes it, and what does not fit 32 bits cannot be there.
  // NOLINTNEXTLINE(cert-err34-c)
  if (std::sscanf(text.c_str(), "%u:%u", &major_number, &minor_number) != 2) {
    return std::nullopt;
  }
  return makedev(major_number, minor_number);
}

uint64_t read_value(const std::string& file) {
  return std::strtoull(read_line(file).c_str(), nullptr, 10);
}

std::optional<LoopBacking> read_backing(const std::string& directory,
                                        dev_t loop) {
  std::string path = read_line(directory + "/loop/backing_file");
  if (path.empty()) return std::nullopt;
  LoopBacking backing;
  backing.loop = loop;
  if (path.ends_with(kDeletedMark)) {
    path.erase(path.size() - kDeletedMark.size());
    backing.deleted = true;
  }
  backing.path = path;
  backing.offset = read_value(directory + "/loop/offset");
  backing.size_limit = read_value(directory + "/loop/sizelimit");
  backing.read_only = read_value(directory + "/ro") != 0;
  return backing;
}

// The device numbers of the entries of a directory that `wanted` lets through.
template <typename Wanted>
std::vector<dev_t> numbers_in(const std::string& directory, Wanted wanted) {
  std::vector<dev_t> numbers;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(directory, none)) {
    std::string path = entry.path().string();
    if (!wanted(path)) continue;
    if (auto number = read_number(path)) numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace

std::string number_text(dev_t block_device) {
  return std::to_string(major(block_device)) + ":" +
         std::to_string(minor(block_device));
}

std::string kernel_name(dev_t block_device) {
  std::error_code error;
  fs::path target = fs::read_symlink(sysfs_directory(block_device), error);
  return error ? number_text(block_device) : target.filename().string();
}

std::string device_path(dev_t block_device) {
  std::string mapped = read_line(sysfs_directory(block_device) + "/dm/name");
  return mapped.empty() ? "/dev/" + kernel_name(block_device)
                        : "/dev/mapper/" + mapped;
}

bool is_read_only_device(dev_t block_device) {
  return read_value(sysfs_directory(block_device) + "/ro") != 0;
}

std::optional<LoopBacking> loop_backing(dev_t block_device) {
  return read_backing(sysfs_directory(block_device), block_device);
}

std::vector<LoopBacking> attached_loops() {
  std::vector<LoopBacking> loops;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/sys/block", none)) {
    std::string directory = entry.path().string();
    if (entry.path().filename().string().rfind("loop", 0) != 0) continue;
    auto number = read_number(directory);
    if (!number) continue;
    if (auto backing = read_backing(directory, *number)) {
      loops.push_back(std::move(*backing));
    }
  }
  return loops;
}

std::vector<dev_t> partitions_of(dev_t block_device) {
  return numbers_in(sysfs_directory(block_device), [](const std::string& path) {
    return access((path + "/partition").c_str(), F_OK) == 0;
  });
}

std::optional<dev_t> disk_of(dev_t partition) {
  std::string directory = sysfs_directory(partition);
  if (access((directory + "/partition").c_str(), F_OK) != 0) {
    return std::nullopt;
  }
  return read_number(directory + "/..");
}

std::vector<dev_t> holders_of(dev_t block_device) {
  return numbers_in(sysfs_directory(block_device) + "/holders",
                    [](const std::string&) { return true; });
}

std::vector<dev_t> slaves_of(dev_t block_device) {
  return numbers_in(sysfs_directory(block_device) + "/slaves",
                    [](const std::string&) { return true; });
}

std::string read_line(const std::string& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/device_holders.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "fusefs/block_sysfs.h"
#include "fusefs/mount_record.h"
#include "fusefs/mount_table.h"
#include "fusefs/process_info.h"

namespace snapfs {
namespace {

Holder describe_holding_process(pid_t pid,
                                const std::string& record_directory) {
  SnapfsProcess snapfs = examine_process(pid, record_directory);
  std::string number = std::to_string(pid);
  switch (snapfs.state) {
    case SnapfsProcess::State::mounted:
      return {Holder::Kind::mounted_snapfs, "the snapfs mounted on " +
                                                snapfs.mount_point + " (pid " +
                                                number + ") uses it"};
    case SnapfsProcess::State::unmounted:
      return {Holder::Kind::ending_snapfs,
              "snapfs (pid " + number + ") has not given it up"};
    case SnapfsProcess::State::not_snapfs:
      break;
  }
  return {Holder::Kind::process,
          "process " + describe_process(pid) + " holds it"};
}

// Of several, the one whose answer is most final.
Holder most_final(const std::vector<pid_t>& pids,
                  const std::string& record_directory) {
  Holder best;
  for (pid_t pid : pids) {
    if (pid == getpid()) {
      if (best.kind == Holder::Kind::unknown) {
        best = {Holder::Kind::self, "this very mount uses it"};
      }
      continue;
    }
    // Locks outlive the process that took them in the children that it forked.
    if (!start_time_of(pid)) continue;
    Holder holder = describe_holding_process(pid, record_directory);
    if (holder.kind == Holder::Kind::mounted_snapfs) return holder;
    if (best.kind != Holder::Kind::ending_snapfs) best = holder;
  }
  return best;
}

bool is_swap(dev_t block_device) {
  std::ifstream in("/proc/swaps");
  std::string line;
  std::getline(in, line);  // the heading
  while (std::getline(in, line)) {
    std::string path;
    std::istringstream(line) >> path;
    struct stat status;
    if (path.starts_with("/dev/") && stat(path.c_str(), &status) == 0 &&
        S_ISBLK(status.st_mode) && status.st_rdev == block_device) {
      return true;
    }
  }
  return false;
}

// What is done with this very device, partitions and disk apart.
std::string direct_use(dev_t block_device, Access access) {
  for (const MountEntry& mount : mounts_of(read_mount_table(), block_device)) {
    if (access == Access::shared && mount.read_only) continue;
    return "is mounted on " + mount.mount_point + " (" + mount.type + ")";
  }
  if (auto holders = holders_of(block_device); !holders.empty()) {
    return "is part of " + device_path(holders.front());
  }
  if (is_swap(block_device)) return "is used as swap";
  return "";
}

// The same of the device, its partitions and its disk.
std::string use_of(dev_t block_device, Access access) {
  std::string use = direct_use(block_device, access);
  if (!use.empty()) return use;
  for (dev_t partition : partitions_of(block_device)) {
    use = direct_use(partition, access);
    if (use.empty()) continue;
    return "has a partition, " + device_path(partition) + ", that " + use;
  }
  if (auto disk = disk_of(block_device)) {
    use = direct_use(*disk, access);
    if (!use.empty()) return "is on " + device_path(*disk) + ", which " + use;
  }
  return "";
}

bool is_same(const PathTarget& target, const DeviceId& id) {
  struct stat status;
  if (fstat(target.fd.get(), &status) != 0) return false;
  if (id.is_block) {
    return S_ISBLK(status.st_mode) && status.st_rdev == id.device;
  }
  return S_ISREG(status.st_mode) && status.st_dev == id.device &&
         status.st_ino == id.inode;
}

// Only a file on the same filesystem can be the same, and others (a network
// filesystem that hangs) are better not asked. Block devices are told by their
// number, wherever their nodes are.
bool is_attached_to(const OwnMount& own_mount, const LoopBacking& loop,
                    const FoundDevice& device) {
  PathTarget target = own_mount.follow(loop.path);
  if (target.outcome != PathTarget::Outcome::found) return false;
  if (!device.is_block() && target.filesystem != device.filesystem) {
    return false;
  }
  return is_same(target, device.id);
}

}  // namespace

Holder find_holder(const FoundDevice& device,
                   const std::string& record_directory) {
  Holder holder = most_final(flock_holders(device.filesystem, device.inode),
                             record_directory);
  if (holder.kind != Holder::Kind::unknown) return holder;
  if (device.is_block()) {
    std::string use = kernel_use(device.block_device(), Access::exclusive);
    if (!use.empty()) return {Holder::Kind::kernel, use};
  }
  holder = most_final(processes_with_open(device.path), record_directory);
  if (holder.kind == Holder::Kind::unknown && device.is_block()) {
    std::string path = device_path(device.block_device());
    holder = most_final(processes_with_open(path), record_directory);
  }
  if (holder.kind != Holder::Kind::unknown) return holder;
  return {Holder::Kind::unknown,
          "another program holds it, perhaps in another namespace"};
}

std::string kernel_use(dev_t block_device, Access access) {
  std::string use = use_of(block_device, access);
  return use.empty() ? use : "it " + use;
}

std::string loop_use(const OwnMount& own_mount, const FoundDevice& device,
                     Access access, std::optional<dev_t> except) {
  for (const LoopBacking& loop : attached_loops()) {
    if (except == loop.loop) continue;
    if (!is_attached_to(own_mount, loop, device)) continue;
    std::string use = use_of(loop.loop, access);
    // A loop device that nobody writes through does not disturb a reader.
    if (access == Access::shared && (loop.read_only || use.empty())) continue;
    std::string text = "it is attached to " + device_path(loop.loop);
    return use.empty() ? text : text + ", which " + use;
  }
  return "";
}

}  // namespace snapfs

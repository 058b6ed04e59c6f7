// SPDX-License-Identifier: MIT
#include "fusefs/host_devices.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "core/error.h"
#include "core/file_device.h"
#include "fusefs/block_sysfs.h"
#include "fusefs/content_probe.h"
#include "fusefs/found_device.h"
#include "fusefs/new_file.h"
#include "fusefs/refusal.h"

namespace snapfs {
namespace {

// The claim is given up after the device has been closed.
struct ClaimedDevice {
  ClaimedDevice(std::shared_ptr<Claim> its_claim, UniqueFd fd,
                const std::string& path)
      : claim(std::move(its_claim)), device(std::move(fd), path) {}

  const std::shared_ptr<Claim> claim;
  FileDevice device;
};

UniqueFd open_for_transfers(const FoundDevice& device, bool writable) {
  if (writable && device.is_block() &&
      is_read_only_device(device.block_device())) {
    refuse_open(device, EROFS);
  }
  return reopen_or_refuse(device, writable ? O_RDWR : O_RDONLY);
}

void refuse_if_empty(const FoundDevice& found, const FileDevice& device) {
  if (device.size() >= kSectorBytes) return;
  struct stat status;
  if (!found.is_block() && fstat(device.fd(), &status) == 0 &&
      status.st_size > 0) {
    throw Refusal(EINVAL, found.path + " holds " +
                              std::to_string(status.st_size) +
                              " bytes, less than one sector (512)");
  }
  throw Refusal(EINVAL, found.path + " is empty");
}

// A new store would be made wherever somebody else's link leads.
void refuse_foreign_link(const std::string& path, const PathTarget& target) {
  if (target.foreign_link.empty()) return;
  throw Refusal(EACCES, path + " leads through a symbolic link to " +
                            target.foreign_link +
                            " that belongs to another user; with `create` no "
                            "such link is followed");
}

// Runs `open`, and says where the table is if it refuses.
template <typename Open>
auto at_place(const Place& place, Open open) -> decltype(open()) {
  try {
    return open();
  } catch (const Refusal& refusal) {
    throw TableError(place, refusal.what(), refusal.error());
  } catch (const std::system_error& error) {
    throw TableError(place, error.what(), errno_of(error));
  }
}

}  // namespace

HostDevices::HostDevices() : HostDevices(Options{}) {}

HostDevices::HostDevices(Options options)
    : claims_(own_mount_, std::move(options)) {}

void HostDevices::set_own_mount(const std::string& mount_point) {
  own_mount_.set(mount_point);
}

OpenedDevice HostDevices::open_origin(const std::string& path, bool writable,
                                      const Place& place) {
  return at_place(place, [&] {
    return open_found(find_device(own_mount_, path), writable);
  });
}

OpenedDevice HostDevices::open_cow(const CowPath& cow, bool writable,
                                   const Place& place) {
  return at_place(place, [&] {
    PathTarget target = own_mount_.follow(cow.path);
    if (cow.create) refuse_foreign_link(cow.path, target);
    if (target.outcome == PathTarget::Outcome::missing && cow.create) {
      return create(cow.path, cow.create_bytes, target);
    }
    if (target.outcome != PathTarget::Outcome::found) {
      refuse_target(cow.path, target);
    }
    return open_found(examine_target(own_mount_, cow.path, std::move(target)),
                      writable);
  });
}

std::optional<DeviceId> HostDevices::storage_of(const std::string& path,
                                                const Place& place) {
  return at_place(place, [&]() -> std::optional<DeviceId> {
    PathTarget target = own_mount_.follow(path);
    if (target.outcome == PathTarget::Outcome::missing) return std::nullopt;
    if (target.outcome != PathTarget::Outcome::found) {
      refuse_target(path, target);
    }
    return examine_target(own_mount_, path, std::move(target)).storage;
  });
}

OpenedDevice HostDevices::create(const std::string& path, uint64_t bytes,
                                 const PathTarget& where) {
  if (!where.link.empty()) {
    throw Refusal(ELOOP, path + " is a symbolic link to " + where.link +
                             ", which does not exist; no file is made "
                             "through a link");
  }
  UniqueFd made = make_sparse_file(where, path, bytes);
  struct stat status;
  if (fstat(made.get(), &status) != 0) throw_errno("cannot examine", path);
  try {
    FoundDevice found = find_device(own_mount_, path);
    if (found.id != DeviceId{false, status.st_dev, status.st_ino}) {
      throw Refusal(EBUSY, path + " was replaced while it was made");
    }
    OpenedDevice opened = open_found(found, true);
    opened.created = true;
    return opened;
  } catch (...) {
    unlink_if_same(where, status.st_dev, status.st_ino);
    throw;
  }
}

OpenedDevice HostDevices::open_found(const FoundDevice& device, bool writable) {
  auto access = writable ? Access::exclusive : Access::shared;
  // What may not be opened at all is told before who uses it.
  UniqueFd fd = open_for_transfers(device, writable);
  auto claimed = std::make_shared<ClaimedDevice>(claims_.claim(device, access),
                                                 std::move(fd), device.path);
  refuse_if_empty(device, claimed->device);
  OpenedDevice opened;
  opened.device = std::shared_ptr<BlockDevice>(claimed, &claimed->device);
  opened.id = device.id;
  opened.storage = device.storage;
  opened.table_name =
      device.is_block() ? number_text(device.block_device()) : device.path;
  return opened;
}

std::string HostDevices::foreign_content(const OpenedDevice& opened) {
  const auto& device = dynamic_cast<const FileDevice&>(*opened.device);
  return probe_content(device.fd(), device.name());
}

void HostDevices::discard_created(const OpenedDevice& opened) noexcept {
  try {
    PathTarget where = own_mount_.follow(opened.device->name());
    if (where.outcome != PathTarget::Outcome::found) return;
    unlink_if_same(where, static_cast<dev_t>(opened.id.device),
                   static_cast<ino_t>(opened.id.inode));
  } catch (const std::exception&) {
    // The file stays, empty as it is; the error that led here is the one told.
  }
}

}  // namespace snapfs

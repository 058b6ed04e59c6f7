// SPDX-License-Identifier: MIT
#include "fusefs/store_device.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>

#include "core/file_device.h"
#include "core/store_scan.h"
#include "fusefs/found_device.h"
#include "fusefs/log.h"
#include "fusefs/own_mount.h"
#include "fusefs/refusal.h"

namespace snapfs {
namespace {

HostDevices::Options host_options() {
  HostDevices::Options options;
  options.notice = [](const std::string& line) {
    log_message(Severity::notice, line);
  };
  return options;
}

// Readers do not wait: they may look at what is in use.
HostDevices::Options reader_options() {
  HostDevices::Options options;
  options.patience = {std::chrono::milliseconds(0),
                      std::chrono::milliseconds(0),
                      std::chrono::milliseconds(0)};
  return options;
}

OpenedDevice open_unclaimed(const std::string& path) {
  const FoundDevice found = find_device(OwnMount(), path);
  OpenedDevice opened;
  opened.device =
      std::make_shared<FileDevice>(reopen_or_refuse(found, O_RDONLY), path);
  opened.id = found.id;
  opened.storage = found.storage;
  return opened;
}

// What is on a device, in words; empty if nothing is.
std::string content_of(HostDevices& host, const OpenedDevice& opened) {
  std::string foreign = host.foreign_content(opened);
  if (!foreign.empty()) return foreign;
  const auto sector = read_header_sector(*opened.device);
  if (!sector || sector->header().magic == 0) return "";
  return sector->header().magic == kMagic ? "a store" : "something unknown";
}

void refuse_content(HostDevices& host, const OpenedDevice& opened,
                    const std::string& path) {
  const std::string content = content_of(host, opened);
  if (content.empty()) return;
  throw Refusal(EEXIST, path + " holds " + content + "; --force overwrites it");
}

}  // namespace

StoreDevices::StoreDevices() : host_(host_options()) {}

OpenedDevice StoreDevices::open_to_read(const std::string& path) {
  try {
    return HostDevices(reader_options()).open_origin(path, false, {});
  } catch (const TableError& error) {
    if (error.error() == EBUSY) {
      log_message(Severity::warning,
                  error.message() + "; what is read may change meanwhile");
    } else if (error.error() != EINVAL) {
      throw;
    }
  }
  // EINVAL: too short for a mount, but not to be looked at.
  return open_unclaimed(path);
}

OpenedDevice StoreDevices::open_to_write(const std::string& path) {
  return host_.open_origin(path, true, {});
}

OpenedDevice StoreDevices::open_output(const std::string& path, uint64_t bytes,
                                       bool force,
                                       const std::optional<DeviceId>& source) {
  CowPath cow;
  cow.path = path;
  const std::optional<DeviceId> there = host_.storage_of(path, {});
  if (!there) {
    cow.create = true;
    cow.create_bytes = bytes;
    return host_.open_cow(cow, true, {});
  }
  if (there == source)
    throw Refusal(EBUSY, path + " is the store that is read");
  if (!force && std::filesystem::is_regular_file(path))
    throw Refusal(EEXIST, path + " exists; --force overwrites it");
  OpenedDevice opened = host_.open_cow(cow, true, {});
  if (!force) refuse_content(host_, opened, path);
  make_room(opened, path, bytes);
  return opened;
}

void make_room(const OpenedDevice& opened, const std::string& path,
               uint64_t bytes) {
  if (opened.device->size() >= bytes) return;
  if (opened.id.is_block)
    throw Refusal(ENOSPC, path + " is too small: " + std::to_string(bytes) +
                              " bytes are needed");
  opened.device->grow(bytes);
}

uint64_t size_of_device(StoreDevices& devices, const std::string& path) {
  return devices.open_to_read(path).device->size();
}

}  // namespace snapfs

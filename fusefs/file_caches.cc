// SPDX-License-Identifier: MIT
#include "fusefs/file_caches.h"

#include <system_error>

#include "fusefs/file_users.h"
#include "fusefs/write_back.h"

namespace snapfs {

// Errors are reported and no more: a page that could not be written back is
// written when the device goes on, or fails the msync(2) of its owner.
void FileCaches::before_freeze(Device& device) {
  std::shared_ptr<DeviceNode> node = catalog_.known_node(device);
  WriteBackProcess* process = context_.options.write_back;
  if (node == nullptr || !node->can_be_dirty() || process == nullptr) return;
  const int error = process->write_back(device.name());
  if (error == 0) return;
  report(device,
         "changes through shared mappings may not have been written "
         "back before the suspend: " +
             std::generic_category().message(error));
}

void FileCaches::after_freeze(Device& device) {
  if (auto node = catalog_.known_node(device)) node->note_durable();
}

void FileCaches::after_change(Device& device) {
  std::shared_ptr<DeviceNode> node = catalog_.known_node(device);
  // Nobody has ever looked at it, or it has no number of its own yet.
  if (node == nullptr) return;
  if (!notifier_.invalidate(context_.session, node->inode())) {
    report(device, "the kernel still keeps old pages of the file");
  }
  // Reads of open files are cut off at the size that the kernel knows.
  WriteBackProcess* process = context_.options.write_back;
  if (process != nullptr && device.open_count() != 0) {
    process->refresh(device.name());
  }
}

std::string FileCaches::users_of(Device& device) {
  catalog_.wait_for_release(device);
  return file_users(context_.options.mount_point + "/" + device.name());
}

void FileCaches::content_lost(const std::string& device) {
  notifier_.invalidate_later(context_.session, [this, device]() -> uint64_t {
    std::shared_ptr<DeviceNode> node = catalog_.find(device);
    return node == nullptr ? 0 : node->inode();
  });
}

void FileCaches::report(const Device& device, const std::string& text) {
  context_.events.on_event({EventKind::error, device.name(), text});
}

}  // namespace snapfs

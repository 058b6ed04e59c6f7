// SPDX-License-Identifier: MIT
//
// A device as a regular file. Its number is new for each device, also for one
// that is made again under an old name. Thread-safe.
//
// The kernel may not keep its attributes: st_blocks changes when another file
// (the origin) is written to. Names are not kept either, so a device appears
// and disappears without a word to the kernel; a LOOKUP a path costs little
// beside the I/O that follows.
#pragma once

#include <atomic>
#include <memory>

#include "core/device.h"
#include "fusefs/device_request.h"
#include "fusefs/flush_mark.h"
#include "fusefs/node.h"
#include "fusefs/tree_context.h"

namespace snapfs {

class DeviceCatalog;

class DeviceNode : public Node {
 public:
  // Takes this number and those behind it.
  static constexpr unsigned kInodes = 5;

  DeviceNode(TreeContext& context, DeviceCatalog& catalog,
             std::shared_ptr<Device> device);

  TreeContext& context() const { return context_; }
  Device& device() const { return *device_; }
  uint64_t state_inode() const { return inode() + 1; }
  uint64_t status_inode() const { return inode() + 2; }
  uint64_t next_table_inode() const { return inode() + 3; }
  uint64_t untrusted_inode() const { return inode() + 4; }

  // A device that is not live yet is no file.
  bool has_file() const { return device_->live() != nullptr; }

  // As the function of that name; also keeps what stat(2) tells.
  DeviceOutcome carry_out(Target& target, DeviceRequest& request);

  // The end of an open file, see DeviceCatalog::open().
  void closed() noexcept;

  // Nothing has been written since the last flush.
  bool is_clean() const { return mark_.is_clean(); }
  // REQUIRES: everything that was written is durable, and nothing is written
  // during the call.
  void note_durable() noexcept {
    mark_.flush([] {});
  }

  // Can there be changes in a shared mapping? Such a mapping keeps a file open
  // that reads and writes.
  bool can_be_dirty() const { return mappable_opens_ != 0; }
  void mappable_opened() { ++mappable_opens_; }
  void mappable_closed() { --mappable_opens_; }

  // Answers what is parked now at the device's gate with EIO, and what waits
  // for room in a store as soon as it is woken; what comes later parks as
  // before. Returns how many there were.
  std::size_t abort_parked();
  // So many more requests of this file wait for room in a store.
  void waits_for_room(int more) { waiting_for_room_ += more; }
  int waiting_for_room() const { return waiting_for_room_; }
  // How often that has been done.
  uint64_t abort_count() const { return abort_count_; }

  struct stat attributes() const override;
  bool is_private() const override { return false; }
  std::unique_ptr<Handle> open(const Caller& caller, int flags) override;
  void set_attributes(const struct stat& wanted, int what, Handle* handle,
                      const Caller& caller) override;

 private:
  bool is_read_only() const;
  uint32_t open_flags(int flags) const;

  TreeContext& context_;
  DeviceCatalog& catalog_;
  const std::shared_ptr<Device> device_;
  FlushMark mark_;
  std::atomic<unsigned> mappable_opens_{0};
  std::atomic<uint64_t> abort_count_{0};
  std::atomic<int> waiting_for_room_{0};
  std::atomic<int64_t> modified_;  // nanoseconds since 1970
  mutable std::atomic<uint64_t> last_size_{0};
};

}  // namespace snapfs

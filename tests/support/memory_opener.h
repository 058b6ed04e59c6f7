// SPDX-License-Identifier: MIT
//
// A DeviceOpener over devices in memory, which have names in place of paths. It
// claims as the real opener does, for one process: a device may be opened any
// number of times, but not while somebody else holds it, and not under two
// names of the same storage with a writer among them. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/device_opener.h"
#include "tests/support/memory_device.h"

namespace snapfs::test {

class MemoryOpener : public DeviceOpener {
 public:
  MemoryOpener();
  ~MemoryOpener() override;

  // A new device of zeroes. Replaces one of that name.
  std::shared_ptr<MemoryDevice> add(const std::string& path, uint64_t bytes);

  // The same for a device of any kind (counting, failing, ...).
  void add(const std::string& path, std::shared_ptr<BlockDevice> device);

  // Another path to the device at `target`.
  void add_alias(const std::string& path, const std::string& target);

  // A device of its own, with the storage of the one at `target`: what a loop
  // device is to its file.
  void add_loop(const std::string& path, const std::string& target);

  // What foreign_content() will say about the device; empty: nothing.
  void set_foreign_content(const std::string& path, const std::string& words);

  // Somebody else, so named, has it open to write; empty: nobody any more.
  void set_holder(const std::string& path, const std::string& holder);

  bool exists(const std::string& path) const;

  // How many references that open_origin() and open_cow() gave out are alive.
  unsigned open_count(const std::string& path) const;

  OpenedDevice open_origin(const std::string& path, bool writable,
                           const Place& place) override;
  OpenedDevice open_cow(const CowPath& cow, bool writable,
                        const Place& place) override;
  std::optional<DeviceId> storage_of(const std::string& path,
                                     const Place& place) override;
  std::string foreign_content(const OpenedDevice& opened) override;
  void discard_created(const OpenedDevice& opened) noexcept override;

 private:
  struct Entry;
  struct State;

  OpenedDevice open(const std::string& path, bool writable, const Place& place);

  // Outlives this object as long as an opened device does.
  std::shared_ptr<State> state_;
};

}  // namespace snapfs::test

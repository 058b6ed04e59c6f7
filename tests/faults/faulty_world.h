// SPDX-License-Identifier: MIT
//
// An origin with snapshots on devices that fail, and what each of them may show
// meanwhile and after a power cut. Whatever the faults were, of every sector of
// every view it is known:
//
//   now    what a read may find: one content, or, after a write that failed,
//          the old one or the new one
//   kept   what may be there after a power cut: what was there at the last
//          flush that succeeded, and what was written since
//
// Each operation does one thing and checks that its outcome is one that
// snapfs(8) names: it succeeds, or there was a fault and it fails as the manual
// says. A violation throws Violation. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/tables.h"
#include "tests/support/volatile_device.h"

namespace snapfs::test {

class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class FaultyWorld {
 public:
  static constexpr uint64_t kOriginSectors = 150;

  // The devices are "origin" and what snapshots are given; the origin "base".
  FaultyWorld();
  ~FaultyWorld();
  FaultyWorld(const FaultyWorld&) = delete;
  FaultyWorld& operator=(const FaultyWorld&) = delete;

  // ---- Devices and their faults

  void add_cow(const std::string& device, uint64_t sectors);
  void grow_cow(const std::string& device, uint64_t sectors);
  void set_filesystem(const std::string& device, uint64_t bytes);
  void inject(const std::string& device, FaultyDevice::Fault fault);
  void heal();
  uint64_t failures() const;
  std::vector<std::string> devices() const;  // origin and COWs

  // ---- Operations. Each returns whether it succeeded.

  struct Options {
    StoreType type = StoreType::persistent;
    uint64_t chunk_sectors = 1;
    bool discards = false;
    bool passes_down = false;
    WhenFull when_full = {};
  };
  bool snapshot(const std::string& name, const std::string& cow,
                const Options& options);
  bool snapshot(const std::string& name, const std::string& cow) {
    return snapshot(name, cow, Options());
  }
  bool write(const std::string& name, uint64_t first, uint64_t count);
  // The same where a store may be full.
  bool write_when_full(const std::string& name, uint64_t first, uint64_t count);
  bool read(const std::string& name);
  bool flush(const std::string& name);
  bool discard(const std::string& name, uint64_t first, uint64_t count);
  bool suspend(const std::string& name);
  bool resume(const std::string& name);
  bool remove(const std::string& name);
  // The store of `source` goes to `name`, which may be the same.
  bool hand_over(const std::string& source, const std::string& name);
  // Into the origin; its own name is gone then.
  bool begin_merge(const std::string& name);
  // False: it failed, or there is nothing to be merged.
  bool merge_step();

  bool has(const std::string& name) const;
  bool is_merging() const;
  std::vector<std::string> snapshots() const;  // names of those that are live
  std::string status(const std::string& name) const;

  // ---- What it has come to, with healthy devices

  // Everything can be read, and is right; flushed, it is kept.
  void check();
  // The power fails, and everything is loaded again.
  void cut_power();
  // The daemon ends as it should, and everything is loaded again.
  void end();

 private:
  struct View;
  struct Snap;
  struct Disk {
    std::shared_ptr<VolatileDevice> volatile_device;
    std::shared_ptr<FaultyDevice> device;
  };
  // What became of a call: an errno, or 0.
  struct Result {
    int error = 0;
    std::string text;
  };

  bool write(const std::string& name, uint64_t first, uint64_t count,
             bool may_be_full);
  Result attempt(const std::function<void()>& call);
  Result attempt_load(std::vector<Table> tables);
  void require(bool condition, const std::string& what) const;
  void check_error(const Result& result, const std::string& what) const;
  bool may_fail() const { return failures() != 0; }
  View& view(const std::string& name);
  std::shared_ptr<Target> target(const std::string& name) const;
  bool is_invalid(const std::string& name) const;
  void note_invalid();
  Table table_of(const std::string& name, const Snap& snap) const;
  void open();
  void compare(const std::string& name, const std::vector<std::byte>& data,
               bool after_power_cut);
  void settle(const std::string& name);
  std::map<std::string, std::vector<std::byte>> images() const;
  void load_images(const std::map<std::string, std::vector<std::byte>>& images);

  std::map<std::string, Disk> disks_;
  MemoryOpener opener_;
  EventRecorder events_;
  std::unique_ptr<DeviceSet> set_;
  uint64_t generation_ = 1;
  std::unique_ptr<View> base_;
  std::map<std::string, std::unique_ptr<Snap>> snaps_;
  std::optional<std::string> merging_cow_;
  bool has_failed_flush_ = false;
};

}  // namespace snapfs::test

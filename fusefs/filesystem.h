// SPDX-License-Identifier: MIT
//
// The mounted tree: one file per device, and .control. Owns nodes and handles,
// knows nothing of how it came to be mounted. Has threads of its own, so it
// must be made after the last fork. Thread-safe.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "fusefs/event_log.h"
#include "fusefs/fuse.h"

namespace snapfs {

class SpecReload;
class Tree;
class WriteBackProcess;

class Filesystem {
 public:
  struct Options {
    uid_t uid = 0;  // owner of the mount
    gid_t gid = 0;
    bool read_only = false;
    std::string base_dir;     // relative paths in tables are relative to it
    std::string mount_point;  // absolute
    // Must live longer. Null: dirty shared mappings are not written back when a
    // device is suspended.
    WriteBackProcess* write_back = nullptr;
    // Must live longer. Null: there is no SPEC to be read again.
    SpecReload* spec_reload = nullptr;
  };

  Filesystem(DeviceSet& devices, EventLog& events, Options options);
  ~Filesystem();

  // For fuse_session_new(); the session's userdata must be the Filesystem.
  static const fuse_lowlevel_ops& operations();

  // Must be called once, after fuse_session_new() and before the first request:
  // notifications go to this session.
  void attach(fuse_session* session);

  // Whether the kernel can map files that are opened for direct I/O
  // (FUSE_DIRECT_IO_ALLOW_MMAP was granted). Until it is set, only those who
  // open with O_DIRECT get direct I/O, and the others the page cache.
  void set_direct_io_mmap(bool can_map);

  // Names of the devices whose files are open now.
  std::vector<std::string> open_devices() const;

  // Has SPEC read again and its changes applied, some time after this returns.
  void reload();

  // Ends waiting: parked requests and event readers are answered (EIO, end of
  // file) when this returns, and nothing parks any more. Call before leaving
  // the session's loop, from a thread that takes no requests.
  void shut_down();

  Tree& tree() { return *tree_; }

 private:
  std::unique_ptr<Tree> tree_;
};

}  // namespace snapfs

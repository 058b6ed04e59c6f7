// SPDX-License-Identifier: MIT
//
// What every node of one mounted tree uses. Lives as long as the tree.
// Thread-safe.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>

#include "fusefs/event_log.h"
#include "fusefs/filesystem.h"
#include "fusefs/signal_watch.h"
#include "fusefs/worker_pool.h"

namespace snapfs {

struct TreeContext {
  TreeContext(EventLog& event_log, Filesystem::Options mount_options)
      : options(std::move(mount_options)), events(event_log) {}

  // A number that no other node of this mount has, had or will have, and the
  // `count - 1` that follow it.
  uint64_t new_inodes(unsigned count) { return next_inode.fetch_add(count); }

  // Attributes of a node of the mount's owner; `mode` with the type.
  struct stat attributes(uint64_t inode, mode_t mode, uint64_t size) const;

  const Filesystem::Options options;
  EventLog& events;
  std::atomic<fuse_session*> session{nullptr};  // for notifications
  std::atomic<bool> ending{false};              // nothing waits any more
  std::atomic<bool> direct_io_mmap{false};      // see Filesystem
  std::atomic<uint64_t> next_inode{1024};
  SignalWatch watch;
  WorkerPool pool{kPoolThreads};
  WorkerPool control{1};  // see control_job.h

  static constexpr unsigned kPoolThreads = 8;
};

// The nodes that are always there. FUSE gives the root number 1.
enum FixedInode : uint64_t {
  kRootInode = 1,
  kControlInode = 16,
  kTablesInode,
  kStatesInode,
  kStatusesInode,
  kUntrustedInode,
  kErrorsInode,
  kEventsInode,
  kLogInode,
  kPidInode,
  kReloadInode,
  kMetricsInode,
};

}  // namespace snapfs

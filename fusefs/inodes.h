// SPDX-License-Identifier: MIT
//
// The nodes that the kernel knows by number, with the count of its lookups, so
// that a node exists for as long as either its directory or the kernel has it.
// Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "core/mutex.h"
#include "fusefs/node.h"

namespace snapfs {

class Inodes {
 public:
  // Never forgotten.
  void pin(std::shared_ptr<Node> node) EXCLUDES(mutex_);

  // One more lookup. Returns the node that is known under this number, which
  // may be an earlier object for the same thing.
  std::shared_ptr<Node> remember(std::shared_ptr<Node> node) EXCLUDES(mutex_);

  void forget(uint64_t inode, uint64_t lookups) noexcept EXCLUDES(mutex_);

  // Throws std::system_error(ESTALE) if there is none, which makes the kernel
  // look the name up again.
  std::shared_ptr<Node> find(uint64_t inode) const EXCLUDES(mutex_);

  std::size_t size() const EXCLUDES(mutex_);

 private:
  struct Known {
    std::shared_ptr<Node> node;
    uint64_t lookups = 0;
    bool pinned = false;
  };

  mutable SharedMutex mutex_;
  std::unordered_map<uint64_t, Known> known_ GUARDED_BY(mutex_);
};

}  // namespace snapfs

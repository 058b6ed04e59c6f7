// SPDX-License-Identifier: MIT
#include "fusefs/inodes.h"

#include <algorithm>
#include <cerrno>

namespace snapfs {

void Inodes::pin(std::shared_ptr<Node> node) {
  WriterLock lock(mutex_);
  uint64_t inode = node->inode();
  known_[inode] = {.node = std::move(node), .pinned = true};
}

std::shared_ptr<Node> Inodes::remember(std::shared_ptr<Node> node) {
  WriterLock lock(mutex_);
  Known& known = known_[node->inode()];
  if (known.node == nullptr) known.node = std::move(node);
  ++known.lookups;
  return known.node;
}

void Inodes::forget(uint64_t inode, uint64_t lookups) noexcept {
  std::shared_ptr<Node> last;  // destroyed after the lock is released
  WriterLock lock(mutex_);
  auto found = known_.find(inode);
  if (found == known_.end()) return;
  Known& known = found->second;
  known.lookups -= std::min(lookups, known.lookups);
  if (known.lookups != 0 || known.pinned) return;
  last = std::move(known.node);
  known_.erase(found);
}

std::shared_ptr<Node> Inodes::find(uint64_t inode) const {
  ReaderLock lock(mutex_);
  auto found = known_.find(inode);
  if (found == known_.end()) refuse(ESTALE);
  return found->second.node;
}

std::size_t Inodes::size() const {
  ReaderLock lock(mutex_);
  return known_.size();
}

}  // namespace snapfs

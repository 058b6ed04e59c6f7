// SPDX-License-Identifier: MIT
#include "fusefs/filesystem.h"

#include <utility>

#include "fusefs/tree.h"

namespace snapfs {

Filesystem::Filesystem(DeviceSet& devices, EventLog& events, Options options)
    : tree_(std::make_unique<Tree>(devices, events, std::move(options))) {}

Filesystem::~Filesystem() = default;

void Filesystem::attach(fuse_session* session) {
  tree_->context().session = session;
}

void Filesystem::set_direct_io_mmap(bool can_map) {
  tree_->context().direct_io_mmap = can_map;
}

std::vector<std::string> Filesystem::open_devices() const {
  return tree_->open_devices();
}

void Filesystem::reload() { tree_->reload(); }

void Filesystem::shut_down() { tree_->shut_down(); }

}  // namespace snapfs

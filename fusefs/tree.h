// SPDX-License-Identifier: MIT
//
// The whole tree behind the requests: nodes by number, open files by number,
// and what each request does with them. One function per FUSE operation that is
// more than a call of the open file; each answers its Reply or throws.
// Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "fusefs/device_catalog.h"
#include "fusefs/events_node.h"
#include "fusefs/file_caches.h"
#include "fusefs/handle_table.h"
#include "fusefs/inodes.h"
#include "fusefs/node.h"
#include "fusefs/table_directory.h"
#include "fusefs/tree_context.h"

namespace snapfs {

class Tree {
 public:
  Tree(DeviceSet& devices, EventLog& events, Filesystem::Options options);
  ~Tree();

  TreeContext& context() { return context_; }
  std::vector<std::string> open_devices() const;
  void shut_down();
  void reload();

  std::shared_ptr<Handle> handle(const fuse_file_info& info) {
    return handles_.get(info.fh);
  }

  void flush(Reply& reply, const fuse_file_info& info);
  void sync(Reply& reply, const fuse_file_info& info);

  void lookup(Reply& reply, uint64_t parent, const std::string& name);
  void forget(uint64_t inode, uint64_t lookups) noexcept;
  void get_attributes(Reply& reply, uint64_t inode);
  void set_attributes(Reply& reply, uint64_t inode, const struct stat& wanted,
                      int what, const fuse_file_info* info);
  void open(Reply& reply, uint64_t inode, int flags);
  void create(Reply& reply, uint64_t parent, const std::string& name,
              int flags);
  void release(Reply& reply, const fuse_file_info& info);
  void unlink(Reply& reply, uint64_t parent, const std::string& name);
  void rename(Reply& reply, uint64_t parent, const std::string& name,
              uint64_t new_parent, const std::string& new_name, unsigned flags);
  void read_directory(Reply& reply, uint64_t inode, std::size_t size,
                      uint64_t offset);
  void access(Reply& reply, uint64_t inode, int mask);
  void statistics(Reply& reply);

 private:
  void change(Reply& reply, uint64_t directory,
              std::function<void(Reply&)> body);
  void create_now(Reply& reply, uint64_t parent, const std::string& name,
                  int flags);
  // The node, if the sender of the request may use it.
  std::shared_ptr<Node> node_for(Reply& reply, uint64_t inode) const;
  void check_private(Reply& reply, const Node& node) const;
  static fuse_entry_param entry_of(const Node& node);

  TreeContext context_;
  DeviceSet& devices_;
  DeviceCatalog catalog_;
  const std::shared_ptr<FileCaches> caches_;
  const std::shared_ptr<EventHub> hub_;
  const std::shared_ptr<TableDirectory> tables_;
  Inodes inodes_;
  HandleTable handles_;
};

}  // namespace snapfs

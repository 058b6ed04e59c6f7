// SPDX-License-Identifier: MIT
//
// A thing in the tree: a device, a control file or a directory, and what it
// becomes when it is opened. Errors are thrown (std::system_error) and become
// the answer. Thread-safe.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fusefs/caller.h"
#include "fusefs/fuse.h"
#include "fusefs/fuse_open.h"
#include "fusefs/reply.h"

namespace snapfs {

// Where the kernel wants to hear that a file can be read. May be null.
struct DestroyPollHandle {
  void operator()(fuse_pollhandle* handle) const {
    fuse_pollhandle_destroy(handle);
  }
};
using PollHandle = std::unique_ptr<fuse_pollhandle, DestroyPollHandle>;

// An open file. Each call answers its Reply, or takes it over to answer later.
// `flags` are those of the open file at the time of the call.
class Handle {
 public:
  virtual ~Handle() = default;

  virtual void read(Reply& reply, uint64_t offset, std::size_t size, int flags);
  virtual void write(Reply& reply, uint64_t offset,
                     std::span<const std::byte> data, int flags);
  virtual void flush(Reply& reply);  // a descriptor is being closed
  virtual void sync(Reply& reply);
  virtual void allocate(Reply& reply, int mode, uint64_t offset,
                        uint64_t length);
  virtual void seek(Reply& reply, uint64_t offset, int whence);
  virtual void poll(Reply& reply, PollHandle poll_handle);

  // True: closing and syncing it may load devices, see control_job.h.
  virtual bool is_control() const { return false; }

  // The last descriptor is closed. The handle is destroyed afterwards.
  virtual void release() noexcept {}

  // FOPEN_... of the answer to OPEN.
  virtual uint32_t open_flags() const { return kOpenDirectIo; }
};

struct DirectoryEntry {
  uint64_t inode;
  std::string name;
  mode_t type;  // S_IFREG or S_IFDIR
};

class Node : public std::enable_shared_from_this<Node> {
 public:
  explicit Node(uint64_t inode) : inode_(inode) {}
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  uint64_t inode() const { return inode_; }

  virtual struct stat attributes() const = 0;

  // How long the kernel may believe the attributes, in seconds.
  virtual double attribute_timeout() const { return 0; }

  // Only for the mount's owner and root.
  virtual bool is_private() const { return true; }

  // O_TRUNC in `flags` is the node's to honour or ignore.
  virtual std::unique_ptr<Handle> open(const Caller& caller, int flags);

  // `what` are FUSE_SET_ATTR_... bits; `handle` is null without a descriptor.
  virtual void set_attributes(const struct stat& wanted, int what,
                              Handle* handle, const Caller& caller);

  // Directories. A name that is not there gives null. Entries without "." and
  // "..", which have the numbers of the directory and of parent().
  virtual std::shared_ptr<Node> lookup(const std::string& name);
  virtual std::vector<DirectoryEntry> list() const;
  virtual uint64_t parent() const { return kRoot; }

  struct Created {
    std::shared_ptr<Node> node;
    std::unique_ptr<Handle> handle;
  };
  virtual Created create(const std::string& name, const Caller& caller,
                         int flags);
  virtual void unlink(const std::string& name, const Caller& caller);
  // `flags` are those of renameat2(2). Both names are in this directory.
  virtual void rename(const std::string& from, const std::string& to,
                      unsigned flags, const Caller& caller);

 private:
  static constexpr uint64_t kRoot = 1;
  const uint64_t inode_;
};

// Throws std::system_error(error).
[[noreturn]] void refuse(int error);

// Does the open(2) flag ask to write?
inline bool opens_for_writing(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY;
}

}  // namespace snapfs

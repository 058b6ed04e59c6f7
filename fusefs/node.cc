// SPDX-License-Identifier: MIT
#include "fusefs/node.h"

#include <fcntl.h>
#include <poll.h>

#include <cerrno>
#include <system_error>

namespace snapfs {

void refuse(int error) {
  throw std::system_error(error, std::generic_category());
}

void Handle::read(Reply&, uint64_t, std::size_t, int) { refuse(EBADF); }

void Handle::write(Reply&, uint64_t, std::span<const std::byte>, int) {
  refuse(EBADF);
}

void Handle::flush(Reply& reply) { reply.ok(); }

void Handle::sync(Reply& reply) { reply.ok(); }

void Handle::allocate(Reply&, int, uint64_t, uint64_t) { refuse(EOPNOTSUPP); }

// Not ENOSYS: the kernel would never ask again, for any file of the mount.
void Handle::seek(Reply&, uint64_t, int) { refuse(EINVAL); }

// As a regular file: always ready.
void Handle::poll(Reply& reply, PollHandle) {
  reply.poll(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
}

std::unique_ptr<Handle> Node::open(const Caller&, int) { refuse(EISDIR); }

void Node::set_attributes(const struct stat&, int, Handle*, const Caller&) {
  refuse(EPERM);
}

std::shared_ptr<Node> Node::lookup(const std::string&) { refuse(ENOTDIR); }

std::vector<DirectoryEntry> Node::list() const { refuse(ENOTDIR); }

Node::Created Node::create(const std::string&, const Caller&, int) {
  refuse(EPERM);
}

void Node::unlink(const std::string&, const Caller&) { refuse(EPERM); }

void Node::rename(const std::string&, const std::string&, unsigned,
                  const Caller&) {
  refuse(EPERM);
}

}  // namespace snapfs

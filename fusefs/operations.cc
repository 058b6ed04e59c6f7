// SPDX-License-Identifier: MIT
//
// libfuse's table of operations: each entry unpacks its arguments, and the
// guard around it turns what is thrown into the answer.
#include <fcntl.h>

#include <cerrno>

#include "fusefs/filesystem.h"
#include "fusefs/reply.h"
#include "fusefs/tree.h"

namespace snapfs {
namespace {

Tree& tree_of(fuse_req_t request) {
  return static_cast<Filesystem*>(fuse_req_userdata(request))->tree();
}

template <typename Body>
void serve(fuse_req_t request, Body&& body) noexcept {
  Reply reply(request);
  answer(reply, [&] { body(tree_of(request), reply); });
}

// For what this tree has not got at all.
void not_permitted(fuse_req_t request) noexcept { Reply(request).error(EPERM); }

std::size_t bytes(off_t value) { return static_cast<std::size_t>(value); }

void do_lookup(fuse_req_t request, fuse_ino_t parent,
               const char* name) noexcept {
  serve(request,
        [&](Tree& tree, Reply& reply) { tree.lookup(reply, parent, name); });
}

void do_forget(fuse_req_t request, fuse_ino_t inode,
               uint64_t lookups) noexcept {
  tree_of(request).forget(inode, lookups);
  Reply(request).none();
}

void do_forget_multi(fuse_req_t request, std::size_t count,
                     fuse_forget_data* forgets) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    tree_of(request).forget(forgets[i].ino, forgets[i].nlookup);
  }
  Reply(request).none();
}

void do_getattr(fuse_req_t request, fuse_ino_t inode,
                fuse_file_info*) noexcept {
  serve(request,
        [&](Tree& tree, Reply& reply) { tree.get_attributes(reply, inode); });
}

void do_setattr(fuse_req_t request, fuse_ino_t inode, struct stat* wanted,
                int what, fuse_file_info* info) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) {
    tree.set_attributes(reply, inode, *wanted, what, info);
  });
}

void do_open(fuse_req_t request, fuse_ino_t inode,
             fuse_file_info* info) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) {
    tree.open(reply, inode, info->flags);
  });
}

void do_create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t,
               fuse_file_info* info) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) {
    tree.create(reply, parent, name, info->flags);
  });
}

void do_release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) { tree.release(reply, *info); });
}

void do_read(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset,
             fuse_file_info* info) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) {
    tree.handle(*info)->read(reply, bytes(offset), size, info->flags);
  });
}

void do_write(fuse_req_t request, fuse_ino_t, const char* data,
              std::size_t size, off_t offset, fuse_file_info* info) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) {
    std::span<const char> span(data, size);
    tree.handle(*info)->write(reply, bytes(offset), std::as_bytes(span),
                              info->flags);
  });
}

void do_flush(fuse_req_t request, fuse_ino_t, fuse_file_info* info) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) { tree.flush(reply, *info); });
}

void do_fsync(fuse_req_t request, fuse_ino_t, int,
              fuse_file_info* info) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) { tree.sync(reply, *info); });
}

void do_fallocate(fuse_req_t request, fuse_ino_t, int mode, off_t offset,
                  off_t length, fuse_file_info* info) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) {
    tree.handle(*info)->allocate(reply, mode, bytes(offset), bytes(length));
  });
}

void do_lseek(fuse_req_t request, fuse_ino_t, off_t offset, int whence,
              fuse_file_info* info) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) {
    tree.handle(*info)->seek(reply, bytes(offset), whence);
  });
}

void do_poll(fuse_req_t request, fuse_ino_t, fuse_file_info* info,
             fuse_pollhandle* poll_handle) noexcept {
  PollHandle owned(poll_handle);
  serve(request, [&](Tree& tree, Reply& reply) {
    tree.handle(*info)->poll(reply, std::move(owned));
  });
}

void do_readdir(fuse_req_t request, fuse_ino_t inode, std::size_t size,
                off_t offset, fuse_file_info*) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) {
    tree.read_directory(reply, inode, size, bytes(offset));
  });
}

void do_unlink(fuse_req_t request, fuse_ino_t parent,
               const char* name) noexcept {
  serve(request,
        [&](Tree& tree, Reply& reply) { tree.unlink(reply, parent, name); });
}

void do_rename(fuse_req_t request, fuse_ino_t parent, const char* name,
               fuse_ino_t new_parent, const char* new_name,
               unsigned flags) noexcept {
  serve(request, [&](Tree& tree, Reply& reply) {
    tree.rename(reply, parent, name, new_parent, new_name, flags);
  });
}

void do_access(fuse_req_t request, fuse_ino_t inode, int mask) noexcept {
  serve(request,
        [&](Tree& tree, Reply& reply) { tree.access(reply, inode, mask); });
}

void do_statfs(fuse_req_t request, fuse_ino_t) noexcept {
  serve(request, [](Tree& tree, Reply& reply) { tree.statistics(reply); });
}

void do_mknod(fuse_req_t request, fuse_ino_t, const char*, mode_t,
              dev_t) noexcept {
  not_permitted(request);
}

void do_mkdir(fuse_req_t request, fuse_ino_t, const char*, mode_t) noexcept {
  not_permitted(request);
}

void do_rmdir(fuse_req_t request, fuse_ino_t, const char*) noexcept {
  not_permitted(request);
}

void do_symlink(fuse_req_t request, const char*, fuse_ino_t,
                const char*) noexcept {
  not_permitted(request);
}

void do_link(fuse_req_t request, fuse_ino_t, fuse_ino_t, const char*) noexcept {
  not_permitted(request);
}

// READDIRPLUS is left out: the kernel would have to throw away at once the
// attributes that come with it.
fuse_lowlevel_ops make_operations() {
  fuse_lowlevel_ops ops{};
  ops.lookup = do_lookup;
  ops.forget = do_forget;
  ops.forget_multi = do_forget_multi;
  ops.getattr = do_getattr;
  ops.setattr = do_setattr;
  ops.open = do_open;
  ops.create = do_create;
  ops.release = do_release;
  ops.read = do_read;
  ops.write = do_write;
  ops.flush = do_flush;
  ops.fsync = do_fsync;
  ops.fallocate = do_fallocate;
  ops.lseek = do_lseek;
  ops.poll = do_poll;
  ops.readdir = do_readdir;
  ops.unlink = do_unlink;
  ops.rename = do_rename;
  ops.access = do_access;
  ops.statfs = do_statfs;
  ops.mknod = do_mknod;
  ops.mkdir = do_mkdir;
  ops.rmdir = do_rmdir;
  ops.symlink = do_symlink;
  ops.link = do_link;
  return ops;
}

}  // namespace

const fuse_lowlevel_ops& Filesystem::operations() {
  static const fuse_lowlevel_ops operations = make_operations();
  return operations;
}

}  // namespace snapfs

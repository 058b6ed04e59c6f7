// SPDX-License-Identifier: MIT
#include "fusefs/scratch_node.h"

#include <fcntl.h>

#include <utility>

#include "fusefs/bounded_text.h"
#include "fusefs/text_node.h"

namespace snapfs {
namespace {

timespec now() {
  timespec result{};
  clock_gettime(CLOCK_REALTIME, &result);
  return result;
}

class ScratchHandle : public Handle {
 public:
  explicit ScratchHandle(std::shared_ptr<ScratchNode> node)
      : node_(std::move(node)) {}

  void read(Reply& reply, uint64_t offset, std::size_t size, int) override {
    node_->read(reply, offset, size);
  }
  void write(Reply& reply, uint64_t offset, std::span<const std::byte> data,
             int flags) override {
    node_->write(offset, data, (flags & O_APPEND) != 0);
    reply.written(data.size());
  }

 private:
  const std::shared_ptr<ScratchNode> node_;
};

}  // namespace

ScratchNode::ScratchNode(TreeContext& context, std::string text)
    : Node(context.new_inodes(1)),
      context_(context),
      text_(std::move(text)),
      modified_(now()) {}

std::string ScratchNode::text() const {
  MutexLock lock(mutex_);
  return text_;
}

void ScratchNode::read(Reply& reply, uint64_t offset, std::size_t size) const {
  reply_text(reply, text(), offset, size);
}

void ScratchNode::write(uint64_t offset, std::span<const std::byte> data,
                        bool append) {
  MutexLock lock(mutex_);
  write_text(text_, append ? text_.size() : offset, data, kMaxBytes);
  modified_ = now();
}

void ScratchNode::resize(uint64_t size) {
  MutexLock lock(mutex_);
  resize_text(text_, size, kMaxBytes);
  modified_ = now();
}

struct stat ScratchNode::attributes() const {
  MutexLock lock(mutex_);
  struct stat result =
      context_.attributes(inode(), S_IFREG | mode_, text_.size());
  result.st_atim = result.st_mtim = result.st_ctim = modified_;
  return result;
}

std::unique_ptr<Handle> ScratchNode::open(const Caller&, int flags) {
  if ((flags & O_TRUNC) != 0 && opens_for_writing(flags)) resize(0);
  return std::make_unique<ScratchHandle>(
      std::static_pointer_cast<ScratchNode>(shared_from_this()));
}

// The owner is always the mount's; editors that set another do not insist.
void ScratchNode::set_attributes(const struct stat& wanted, int what, Handle*,
                                 const Caller&) {
  if ((what & FUSE_SET_ATTR_SIZE) != 0) {
    resize(static_cast<uint64_t>(wanted.st_size));
  }
  MutexLock lock(mutex_);
  if ((what & FUSE_SET_ATTR_MODE) != 0) mode_ = wanted.st_mode & 07777;
  if ((what & FUSE_SET_ATTR_MTIME_NOW) != 0) {
    modified_ = now();
  } else if ((what & FUSE_SET_ATTR_MTIME) != 0) {
    modified_ = wanted.st_mtim;
  }
}

}  // namespace snapfs

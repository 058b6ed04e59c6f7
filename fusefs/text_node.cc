// SPDX-License-Identifier: MIT
#include "fusefs/text_node.h"

#include <algorithm>
#include <cerrno>

namespace snapfs {

void reply_text(Reply& reply, const std::string& text, uint64_t offset,
                std::size_t size) {
  uint64_t begin = std::min<uint64_t>(offset, text.size());
  std::span<const char> rest(text.data() + begin, text.size() - begin);
  reply.data(std::as_bytes(rest.first(std::min(size, rest.size()))));
}

void TextHandle::read(Reply& reply, uint64_t offset, std::size_t size, int) {
  reply_text(reply, text_, offset, size);
}

struct stat TextNode::attributes() const {
  return context_.attributes(inode(), S_IFREG | 0400, text_().size());
}

std::unique_ptr<Handle> TextNode::open(const Caller&, int flags) {
  // Root passes the mode bits.
  if (opens_for_writing(flags)) refuse(EACCES);
  return std::make_unique<TextHandle>(text_());
}

}  // namespace snapfs

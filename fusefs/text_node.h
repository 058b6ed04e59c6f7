// SPDX-License-Identifier: MIT
//
// A file whose text is made when it is opened and stays so for that open, so
// that a reader never sees two halves of different texts. Thread-safe.
#pragma once

#include <functional>
#include <string>

#include "fusefs/node.h"
#include "fusefs/tree_context.h"

namespace snapfs {

// Reads from a text that does not change.
class TextHandle : public Handle {
 public:
  explicit TextHandle(std::string text) : text_(std::move(text)) {}
  void read(Reply& reply, uint64_t offset, std::size_t size,
            int flags) override;

 private:
  const std::string text_;
};

// Answers with the part of `text` that a read asks for.
void reply_text(Reply& reply, const std::string& text, uint64_t offset,
                std::size_t size);

class TextNode : public Node {
 public:
  // `text` may throw, which fails the open.
  TextNode(TreeContext& context, uint64_t inode,
           std::function<std::string()> text)
      : Node(inode), context_(context), text_(std::move(text)) {}

  struct stat attributes() const override;
  std::unique_ptr<Handle> open(const Caller& caller, int flags) override;

 private:
  TreeContext& context_;
  const std::function<std::string()> text_;
};

}  // namespace snapfs

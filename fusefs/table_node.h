// SPDX-License-Identifier: MIT
//
// .control/tables/NAME.yaml: reads as the live table, and each open file that
// writes holds a proposal of its own for the next one. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "fusefs/node.h"
#include "fusefs/tree_context.h"

namespace snapfs {

class TableDirectory;

class TableNode : public Node {
 public:
  TableNode(TreeContext& context, TableDirectory& directory, std::string name)
      : Node(context.new_inodes(1)),
        context_(context),
        directory_(directory),
        name_(std::move(name)) {}

  const std::string& name() const { return name_; }  // of the device

  // Opens it as a file that has just been made: nothing is in it.
  std::unique_ptr<Handle> open_new(const Caller& caller);

  // What is proposed through a node that has lost its name is never taken.
  void lose_name() { has_name_ = false; }
  bool has_name() const { return has_name_; }

  struct stat attributes() const override;
  std::unique_ptr<Handle> open(const Caller& caller, int flags) override;
  void set_attributes(const struct stat& wanted, int what, Handle* handle,
                      const Caller& caller) override;

 private:
  std::unique_ptr<Handle> open_proposal(const Caller& caller,
                                        std::optional<std::string> text);

  TreeContext& context_;
  TableDirectory& directory_;
  const std::string name_;
  std::atomic<bool> has_name_{true};
};

}  // namespace snapfs

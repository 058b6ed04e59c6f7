// SPDX-License-Identifier: MIT
//
// .control/reload: a write reads SPEC again, whatever is written, and returns
// when its changes have been applied, with the errno of the first that was
// refused. Then the same open file reads as what has been done, a line each,
// and as what has not, in lines that begin with "error: ". Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fusefs/node.h"
#include "fusefs/spec_reload.h"
#include "fusefs/tree_context.h"

namespace snapfs {

class ReloadNode : public Node {
 public:
  // `reload` is called in the control thread.
  ReloadNode(TreeContext& context, std::function<ReloadReport()> reload)
      : Node(kReloadInode), context_(context), reload_(std::move(reload)) {}

  struct stat attributes() const override;
  std::unique_ptr<Handle> open(const Caller& caller, int flags) override;
  void set_attributes(const struct stat& wanted, int what, Handle* handle,
                      const Caller& caller) override;

  TreeContext& context() { return context_; }
  ReloadReport reload() const { return reload_(); }

 private:
  TreeContext& context_;
  const std::function<ReloadReport()> reload_;
};

}  // namespace snapfs

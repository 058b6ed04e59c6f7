// SPDX-License-Identifier: MIT
//
// .control/state/NAME: reads as the state of the device; a word that is written
// changes it, and the write returns when that is done, with its errno. The
// reason goes to the errors file and the events. Thread-safe.
//
//   suspend   DeviceSet::suspend()
//   resume    DeviceSet::resume()
//   abort     what waits on a suspended device is answered EIO
//   revert [force] [rate=BYTES]   DeviceSet::revert()
//   revert-rate BYTES             DeviceSet::set_revert_rate()
#pragma once

#include <iosfwd>
#include <memory>
#include <string>

#include "core/device_set.h"
#include "fusefs/device_node.h"
#include "fusefs/node.h"
#include "fusefs/tree_context.h"

namespace snapfs {

class StateNode : public Node {
 public:
  StateNode(TreeContext& context, DeviceSet& devices,
            std::shared_ptr<DeviceNode> device_node)
      : Node(device_node->state_inode()),
        context_(context),
        devices_(devices),
        device_node_(std::move(device_node)) {}

  struct stat attributes() const override;
  std::unique_ptr<Handle> open(const Caller& caller, int flags) override;
  void set_attributes(const struct stat& wanted, int what, Handle* handle,
                      const Caller& caller) override;

  // Carries the command out. Throws std::system_error and TableError, having
  // reported it.
  void command(const std::string& text);
  TreeContext& context() { return context_; }

 private:
  std::string text() const { return device_node_->device().state_text(); }
  void carry_out(const std::string& word);
  void abort();
  void revert(const std::string& name, std::istream& words);

  TreeContext& context_;
  DeviceSet& devices_;
  const std::shared_ptr<DeviceNode> device_node_;
};

}  // namespace snapfs

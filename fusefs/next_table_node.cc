// SPDX-License-Identifier: MIT
#include "fusefs/next_table_node.h"

#include <cerrno>

namespace snapfs {
namespace {

std::string next_text(const Device& device) {
  std::shared_ptr<const Table> table = device.next_table();
  // It is live by now, or was dropped.
  if (table == nullptr) refuse(ESTALE);
  return table->text;
}

}  // namespace

NextTableNode::NextTableNode(TreeContext& context,
                             const std::shared_ptr<DeviceNode>& device_node)
    : TextNode(context, device_node->next_table_inode(),
               [device_node] { return next_text(device_node->device()); }),
      events_(context.events),
      name_(device_node->device().name()) {}

std::unique_ptr<Handle> NextTableNode::open(const Caller& caller, int flags) {
  if (opens_for_writing(flags)) refuse_writing(events_, name_);
  return TextNode::open(caller, flags);
}

void NextTableNode::refuse_writing(EventLog& events, const std::string& name) {
  events.add_error("tables/" + name +
                   ".next.yaml: not to be written; write tables/" + name +
                   ".yaml to load another table in its place");
  refuse(EPERM);
}

}  // namespace snapfs

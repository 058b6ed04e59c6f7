// SPDX-License-Identifier: MIT
//
// .control/tables/NAME.next.yaml: the table that is loaded but not live yet, to
// be read and removed. Another one is loaded through NAME.yaml. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "fusefs/device_node.h"
#include "fusefs/text_node.h"

namespace snapfs {

class NextTableNode : public TextNode {
 public:
  NextTableNode(TreeContext& context,
                const std::shared_ptr<DeviceNode>& device_node);

  // An open that writes is refused (EPERM), and the errors file says where to.
  std::unique_ptr<Handle> open(const Caller& caller, int flags) override;

  [[noreturn]] static void refuse_writing(EventLog& events,
                                          const std::string& name);

 private:
  EventLog& events_;
  const std::string name_;
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// The directories whose content nobody changes through them: the root, .control
// and those with one small text per device. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "fusefs/device_catalog.h"
#include "fusefs/node.h"
#include "fusefs/tree_context.h"

namespace snapfs {

// Lists the devices. Has `.control` as well, but does not list it, so that
// nothing that walks the tree falls into it.
class RootDirectory : public Node {
 public:
  RootDirectory(TreeContext& context, DeviceCatalog& catalog,
                std::shared_ptr<Node> control)
      : Node(kRootInode),
        context_(context),
        catalog_(catalog),
        control_(std::move(control)) {}

  struct stat attributes() const override;
  double attribute_timeout() const override { return 3600; }
  bool is_private() const override { return false; }
  std::shared_ptr<Node> lookup(const std::string& name) override;
  std::vector<DirectoryEntry> list() const override;

 private:
  TreeContext& context_;
  DeviceCatalog& catalog_;
  const std::shared_ptr<Node> control_;
};

class ControlDirectory : public Node {
 public:
  ControlDirectory(TreeContext& context,
                   std::map<std::string, std::shared_ptr<Node>> children)
      : Node(kControlInode),
        context_(context),
        children_(std::move(children)) {}

  struct stat attributes() const override;
  double attribute_timeout() const override { return 3600; }
  std::shared_ptr<Node> lookup(const std::string& name) override;
  std::vector<DirectoryEntry> list() const override;

 private:
  TreeContext& context_;
  const std::map<std::string, std::shared_ptr<Node>> children_;
};

// One file for each device, named as the device: state/ and status/; or for
// each of a kind.
class DeviceTexts : public Node {
 public:
  using NumberOf = uint64_t (DeviceNode::*)() const;
  using MakeFile =
      std::function<std::shared_ptr<Node>(const std::shared_ptr<DeviceNode>&)>;
  using HasFile = bool (*)(const DeviceNode&);

  DeviceTexts(
      TreeContext& context, DeviceCatalog& catalog, uint64_t inode,
      NumberOf number_of, MakeFile make_file,
      HasFile has_file = [](const DeviceNode&) { return true; })
      : Node(inode),
        context_(context),
        catalog_(catalog),
        number_of_(number_of),
        make_file_(std::move(make_file)),
        has_file_(has_file) {}

  struct stat attributes() const override;
  double attribute_timeout() const override { return 3600; }
  uint64_t parent() const override { return kControlInode; }
  std::shared_ptr<Node> lookup(const std::string& name) override;
  std::vector<DirectoryEntry> list() const override;

 private:
  TreeContext& context_;
  DeviceCatalog& catalog_;
  const NumberOf number_of_;
  const MakeFile make_file_;
  const HasFile has_file_;
};

// The text of untrusted/NAME: a line "OFFSET LENGTH", in bytes, for each range
// that a salvage does not trust. Of other targets: nothing.
std::string untrusted_text(Device& device);

// The text of status/NAME: as `dmsetup status` prints it, then details.
std::string status_text(Device& device);

}  // namespace snapfs

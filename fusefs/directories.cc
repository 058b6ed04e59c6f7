// SPDX-License-Identifier: MIT
#include "fusefs/directories.h"

#include "core/salvaged_snapshot.h"
#include "fusefs/metrics.h"

namespace snapfs {

struct stat RootDirectory::attributes() const {
  return context_.attributes(inode(), S_IFDIR | 0755, 0);
}

std::shared_ptr<Node> RootDirectory::lookup(const std::string& name) {
  if (name == ".control") return control_;
  std::shared_ptr<DeviceNode> node = catalog_.find(name);
  return node != nullptr && node->has_file() ? node : nullptr;
}

std::vector<DirectoryEntry> RootDirectory::list() const {
  std::vector<DirectoryEntry> result;
  for (const std::shared_ptr<DeviceNode>& node : catalog_.list()) {
    if (!node->has_file()) continue;
    result.push_back({node->inode(), node->device().name(), S_IFREG});
  }
  return result;
}

struct stat ControlDirectory::attributes() const {
  return context_.attributes(inode(), S_IFDIR | 0700, 0);
}

std::shared_ptr<Node> ControlDirectory::lookup(const std::string& name) {
  auto found = children_.find(name);
  return found == children_.end() ? nullptr : found->second;
}

std::vector<DirectoryEntry> ControlDirectory::list() const {
  std::vector<DirectoryEntry> result;
  for (const auto& [name, node] : children_) {
    result.push_back(
        {node->inode(), name, node->attributes().st_mode & S_IFMT});
  }
  return result;
}

struct stat DeviceTexts::attributes() const {
  return context_.attributes(inode(), S_IFDIR | 0700, 0);
}

std::shared_ptr<Node> DeviceTexts::lookup(const std::string& name) {
  std::shared_ptr<DeviceNode> node = catalog_.find(name);
  if (node == nullptr || !has_file_(*node)) return nullptr;
  return make_file_(node);
}

std::vector<DirectoryEntry> DeviceTexts::list() const {
  std::vector<DirectoryEntry> result;
  for (const std::shared_ptr<DeviceNode>& node : catalog_.list()) {
    if (!has_file_(*node)) continue;
    result.push_back({((*node).*number_of_)(), node->device().name(), S_IFREG});
  }
  return result;
}

std::string untrusted_text(Device& device) {
  const auto salvage =
      std::dynamic_pointer_cast<SalvagedSnapshot>(device.live());
  if (salvage == nullptr) return "";
  std::string text;
  for (const ByteRange& range : salvage->untrusted()) {
    text += std::to_string(range.offset) + " " + std::to_string(range.length) +
            "\n";
  }
  return text;
}

std::string status_text(Device& device) {
  std::shared_ptr<Target> target = device.live();
  if (target == nullptr) return device.name() + ": \n";
  std::string text =
      device.name() + ": " + target->status_line() + "\n" + target->details();
  for (const Measure& measure : measures_of(device)) {
    text +=
        std::string(measure.key) + ": " + std::to_string(measure.value) + "\n";
  }
  return text;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/tree.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "core/salvaged_snapshot.h"
#include "fusefs/control_job.h"
#include "fusefs/directories.h"
#include "fusefs/log.h"
#include "fusefs/metrics.h"
#include "fusefs/reload_node.h"
#include "fusefs/state_node.h"
#include "fusefs/text_node.h"

namespace snapfs {
namespace {

std::shared_ptr<Node> make_control(
    TreeContext& context, DeviceCatalog& catalog, DeviceSet& devices,
    const std::shared_ptr<TableDirectory>& tables,
    const std::shared_ptr<EventHub>& hub) {
  std::map<std::string, std::shared_ptr<Node>> children;
  children["tables"] = tables;
  children["state"] = std::make_shared<DeviceTexts>(
      context, catalog, kStatesInode, &DeviceNode::state_inode,
      [&context, &devices](const std::shared_ptr<DeviceNode>& node) {
        return std::make_shared<StateNode>(context, devices, node);
      });
  children["status"] = std::make_shared<DeviceTexts>(
      context, catalog, kStatusesInode, &DeviceNode::status_inode,
      [&context](const std::shared_ptr<DeviceNode>& node) {
        return std::make_shared<TextNode>(
            context, node->status_inode(),
            [node] { return status_text(node->device()); });
      });
  children["untrusted"] = std::make_shared<DeviceTexts>(
      context, catalog, kUntrustedInode, &DeviceNode::untrusted_inode,
      [&context](const std::shared_ptr<DeviceNode>& node) {
        return std::make_shared<TextNode>(
            context, node->untrusted_inode(),
            [node] { return untrusted_text(node->device()); });
      },
      [](const DeviceNode& node) {
        return std::dynamic_pointer_cast<SalvagedSnapshot>(
                   node.device().live()) != nullptr;
      });
  children["errors"] = std::make_shared<TextNode>(
      context, kErrorsInode, [&context] { return context.events.errors(); });
  children["metrics"] = std::make_shared<TextNode>(
      context, kMetricsInode,
      [&devices] { return metrics_text(devices.devices()); });
  children["pid"] = std::make_shared<TextNode>(
      context, kPidInode, [] { return std::to_string(::getpid()) + "\n"; });
  children["events"] = std::make_shared<EventsNode>(context, hub);
  if (context.options.spec_reload != nullptr) {
    children["reload"] = std::make_shared<ReloadNode>(
        context, [tables] { return tables->reload(); });
  }
  children["log"] = std::make_shared<LogNode>(context);
  return std::make_shared<ControlDirectory>(context, std::move(children));
}

// Reads SPEC again, for nobody who waits for an answer.
class ReloadJob final : public WorkItem {
 public:
  explicit ReloadJob(std::shared_ptr<TableDirectory> tables)
      : tables_(std::move(tables)) {}

  void run() noexcept override {
    std::unique_ptr<ReloadJob> self(this);
    try {
      tables_->reload();
    } catch (const std::exception& error) {
      log_message(Severity::error, error.what());
    }
  }

 private:
  const std::shared_ptr<TableDirectory> tables_;
};

// Room for entries in the answer to READDIR.
class DirectoryBuffer {
 public:
  DirectoryBuffer(fuse_req_t request, std::size_t size)
      : request_(request), bytes_(size) {}

  // False: there is no room for it. `next` is where to go on behind it.
  bool add(const DirectoryEntry& entry, uint64_t next) {
    struct stat attributes {};
    attributes.st_ino = entry.inode;
    attributes.st_mode = entry.type;
    auto* place = reinterpret_cast<char*>(bytes_.data()) + used_;
    std::size_t room = bytes_.size() - used_;
    std::size_t needed =
        fuse_add_direntry(request_, place, room, entry.name.c_str(),
                          &attributes, static_cast<off_t>(next));
    if (needed > room) return false;
    used_ += needed;
    return true;
  }

  std::span<const std::byte> bytes() const {
    return std::span<const std::byte>(bytes_).first(used_);
  }

 private:
  fuse_req_t request_;
  std::vector<std::byte> bytes_;
  std::size_t used_ = 0;
};

}  // namespace

Tree::Tree(DeviceSet& devices, EventLog& events, Filesystem::Options options)
    : context_(events, std::move(options)),
      devices_(devices),
      catalog_(context_, devices_),
      caches_(std::make_shared<FileCaches>(context_, catalog_)),
      hub_(std::make_shared<EventHub>(context_)),
      tables_(std::make_shared<TableDirectory>(context_, catalog_, devices_)) {
  std::shared_ptr<Node> control =
      make_control(context_, catalog_, devices_, tables_, hub_);
  inodes_.pin(std::make_shared<RootDirectory>(context_, catalog_, control));
  devices_.set_watcher(caches_.get());
  events.subscribe([weak = std::weak_ptr<EventHub>(hub_)](const Event&) {
    if (std::shared_ptr<EventHub> hub = weak.lock()) hub->notify();
  });
  events.subscribe(
      [weak = std::weak_ptr<FileCaches>(caches_)](const Event& event) {
        if (event.kind != EventKind::invalid) return;
        if (auto caches = weak.lock()) caches->content_lost(event.device);
      });
}

Tree::~Tree() {
  shut_down();
  devices_.set_watcher(nullptr);
  hub_->stop();
  context_.pool.wait_idle();
}

std::vector<std::string> Tree::open_devices() const {
  std::vector<std::string> result;
  for (const std::shared_ptr<Device>& device : devices_.devices()) {
    if (device->open_count() != 0) result.push_back(device->name());
  }
  return result;
}

void Tree::reload() {
  if (context_.options.spec_reload == nullptr || context_.ending) return;
  auto job = std::make_unique<ReloadJob>(tables_);
  context_.control.submit(*job.release());
}

void Tree::shut_down() {
  context_.ending = true;
  // A suspension may be waiting for a mapping to be written back.
  devices_.wake_waiting();
  context_.control.wait_idle();
  tables_->finish();
  for (const std::shared_ptr<Device>& device : devices_.devices()) {
    device->admission().wake_all();
  }
  devices_.wake_waiting();
  hub_->notify();
  context_.pool.wait_idle();
}

// Whatever the kernel's permission checks are, control files are for the
// mount's owner and root. An open file is not asked again: it may have been
// passed on.
void Tree::check_private(Reply& reply, const Node& node) const {
  uid_t uid = caller_of(reply.request()).uid;
  if (node.is_private() && uid != 0 && uid != context_.options.uid) {
    refuse(EACCES);
  }
}

std::shared_ptr<Node> Tree::node_for(Reply& reply, uint64_t inode) const {
  std::shared_ptr<Node> node = inodes_.find(inode);
  check_private(reply, *node);
  return node;
}

// Names are never kept by the kernel, see device_node.h.
fuse_entry_param Tree::entry_of(const Node& node) {
  fuse_entry_param entry{};
  entry.ino = node.inode();
  entry.generation = 1;  // numbers are never used again
  entry.attr = node.attributes();
  entry.attr_timeout = node.attribute_timeout();
  return entry;
}

void Tree::lookup(Reply& reply, uint64_t parent, const std::string& name) {
  std::shared_ptr<Node> node = node_for(reply, parent)->lookup(name);
  if (node == nullptr) refuse(ENOENT);
  check_private(reply, *node);
  fuse_entry_param entry = entry_of(*node);
  inodes_.remember(node);
  if (!reply.entry(entry)) inodes_.forget(entry.ino, 1);
}

void Tree::forget(uint64_t inode, uint64_t lookups) noexcept {
  inodes_.forget(inode, lookups);
}

void Tree::get_attributes(Reply& reply, uint64_t inode) {
  std::shared_ptr<Node> node = inodes_.find(inode);
  reply.attributes(node->attributes(), node->attribute_timeout());
}

void Tree::set_attributes(Reply& reply, uint64_t inode,
                          const struct stat& wanted, int what,
                          const fuse_file_info* info) {
  std::shared_ptr<Node> node = inodes_.find(inode);
  std::shared_ptr<Handle> open_file = info != nullptr ? handle(*info) : nullptr;
  if (open_file == nullptr) check_private(reply, *node);
  node->set_attributes(wanted, what, open_file.get(),
                       caller_of(reply.request()));
  reply.attributes(node->attributes(), node->attribute_timeout());
}

void Tree::open(Reply& reply, uint64_t inode, int flags) {
  std::shared_ptr<Node> node = node_for(reply, inode);
  std::unique_ptr<Handle> opened =
      node->open(caller_of(reply.request()), flags);
  uint32_t open_flags = opened->open_flags();
  uint64_t number = handles_.add(std::move(opened));
  if (!reply.open(number, open_flags)) handles_.take(number);
}

// What changes the directory of tables may load and remove devices.
void Tree::change(Reply& reply, uint64_t directory,
                  std::function<void(Reply&)> body) {
  if (directory != kTablesInode) return body(reply);
  run_control(context_, reply, std::move(body));
}

void Tree::create(Reply& reply, uint64_t parent, const std::string& name,
                  int flags) {
  change(reply, parent, [this, parent, name, flags](Reply& answer) {
    create_now(answer, parent, name, flags);
  });
}

void Tree::create_now(Reply& reply, uint64_t parent, const std::string& name,
                      int flags) {
  Node::Created created =
      node_for(reply, parent)->create(name, caller_of(reply.request()), flags);
  fuse_entry_param entry = entry_of(*created.node);
  uint64_t number = handles_.add(std::move(created.handle));
  inodes_.remember(created.node);
  if (reply.create(entry, number)) return;
  handles_.take(number);
  inodes_.forget(entry.ino, 1);
}

void Tree::flush(Reply& reply, const fuse_file_info& info) {
  std::shared_ptr<Handle> file = handle(info);
  if (!file->is_control()) return file->flush(reply);
  run_control(context_, reply, [file](Reply& answer) { file->flush(answer); });
}

void Tree::sync(Reply& reply, const fuse_file_info& info) {
  std::shared_ptr<Handle> file = handle(info);
  if (!file->is_control()) return file->sync(reply);
  run_control(context_, reply, [file](Reply& answer) { file->sync(answer); });
}

void Tree::release(Reply& reply, const fuse_file_info& info) {
  std::shared_ptr<Handle> file = handles_.take(info.fh);
  auto finish = [file](Reply& answer) {
    file->release();
    answer.ok();
  };
  if (!file->is_control() || context_.ending) return finish(reply);
  run_control(context_, reply, finish);
}

void Tree::unlink(Reply& reply, uint64_t parent, const std::string& name) {
  change(reply, parent, [this, parent, name](Reply& answer) {
    node_for(answer, parent)->unlink(name, caller_of(answer.request()));
    answer.ok();
  });
}

void Tree::rename(Reply& reply, uint64_t parent, const std::string& name,
                  uint64_t new_parent, const std::string& new_name,
                  unsigned flags) {
  if (parent != new_parent) refuse(EPERM);
  change(reply, parent, [this, parent, name, new_name, flags](Reply& answer) {
    node_for(answer, parent)
        ->rename(name, new_name, flags, caller_of(answer.request()));
    answer.ok();
  });
}

// Entries are ordered by number, and the number is also the place to go on
// from, so that what comes and goes between two calls moves nothing else.
void Tree::read_directory(Reply& reply, uint64_t inode, std::size_t size,
                          uint64_t offset) {
  constexpr uint64_t kBehindDot = 1;
  constexpr uint64_t kBehindDotDot = 2;
  std::shared_ptr<Node> node = inodes_.find(inode);
  std::vector<DirectoryEntry> entries = node->list();
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.inode < b.inode; });
  DirectoryBuffer buffer(reply.request(), size);
  bool room = true;
  if (offset < kBehindDot) {
    room = buffer.add({inode, ".", S_IFDIR}, kBehindDot);
  }
  if (room && offset < kBehindDotDot) {
    room = buffer.add({node->parent(), "..", S_IFDIR}, kBehindDotDot);
  }
  for (const DirectoryEntry& entry : entries) {
    if (!room) break;
    if (entry.inode > offset) room = buffer.add(entry, entry.inode);
  }
  reply.data(buffer.bytes());
}

// Only asked where the kernel does not check permissions itself.
void Tree::access(Reply& reply, uint64_t inode, int mask) {
  std::shared_ptr<Node> node = node_for(reply, inode);
  struct stat attributes = node->attributes();
  Caller caller = caller_of(reply.request());
  unsigned shift = 0;
  if (caller.uid == attributes.st_uid) {
    shift = 6;
  } else if (caller.gid == attributes.st_gid) {
    shift = 3;
  }
  unsigned granted = (attributes.st_mode >> shift) & 7;
  if (caller.uid == 0) granted |= R_OK | W_OK;
  if ((static_cast<unsigned>(mask) & ~granted) != 0) refuse(EACCES);
  reply.ok();
}

// No space to account for: the files are as large as they are. The block size
// becomes the discard granularity of loop devices.
void Tree::statistics(Reply& reply) {
  struct statvfs result {};
  result.f_bsize = 4096;
  result.f_frsize = 4096;
  result.f_namemax = 255;
  reply.statistics(result);
}

}  // namespace snapfs

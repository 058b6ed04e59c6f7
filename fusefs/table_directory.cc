// SPDX-License-Identifier: MIT
#include "fusefs/table_directory.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "config/table_writer.h"
#include "core/error.h"
#include "fusefs/next_table_node.h"
#include "fusefs/process_info.h"
#include "fusefs/table_name.h"
#include "fusefs/text_node.h"

namespace snapfs {
namespace {

constexpr std::size_t kMaxNameBytes = 255;

// Programs that unlink to remove and for no other reason.
bool only_removes(pid_t process) {
  static const std::array<std::string, 4> names{"rm", "unlink", "snapfs",
                                                "find"};
  return std::find(names.begin(), names.end(), command_of(process)) !=
         names.end();
}

// Programs that unlink what they are about to put something else in place of.
bool replaces_files(pid_t process) {
  static const std::array<std::string, 4> names{"mv", "cp", "install", "ln"};
  return std::find(names.begin(), names.end(), command_of(process)) !=
         names.end();
}

}  // namespace

TableDirectory::TableDirectory(TreeContext& context, DeviceCatalog& catalog,
                               DeviceSet& devices)
    : Node(kTablesInode),
      context_(context),
      catalog_(catalog),
      devices_(devices),
      loader_(devices, context.events, context.options.base_dir),
      watch_([this](const std::string& name) {
        MutexLock lock(control_mutex_);
        auto found = unfinished_.find(name);
        if (found == unfinished_.end()) return;
        Unfinished what = found->second;
        unfinished_.erase(found);
        settle_one(name, what);
      }) {}

struct stat TableDirectory::attributes() const {
  return context_.attributes(inode(), S_IFDIR | 0700, 0);
}

// ---- Taking a text

int TableDirectory::take(TableNode& node, const std::string& text) {
  MutexLock lock(control_mutex_);
  settle(std::nullopt);
  return node.has_name() ? take_locked(node.name(), text) : 0;
}

int TableDirectory::take_locked(const std::string& name,
                                const std::string& text) {
  bool same = false;
  {
    MutexLock lock(names_mutex_);
    same = newest_text(name) == text;
  }
  // The same text says something else of an origin whose device has grown.
  same = same && !devices_.has_outgrown_table(name);
  int error = same ? 0 : loader_.load(name, text);
  if (error != 0) {
    keep_rejected(name, text);
    return error;
  }
  MutexLock lock(names_mutex_);
  rejected_.erase(name);
  new_tables_.erase(name);
  return 0;
}

int TableDirectory::give_up(TableNode& node, const std::string& text,
                            const std::string& reason) {
  MutexLock lock(control_mutex_);
  if (!node.has_name()) return 0;
  int error = loader_.refuse(node.name(), reason);
  keep_rejected(node.name(), text);
  return error;
}

int TableDirectory::check(const TableNode& node,
                          const std::string& text) const {
  return TableLoader::check(node.name(), text, context_.options.base_dir);
}

// A name that was only made for a text that is refused goes with it.
void TableDirectory::keep_rejected(const std::string& name,
                                   const std::string& text) {
  MutexLock lock(names_mutex_);
  new_tables_.erase(name);
  rejected_[name] = {context_.new_inodes(1), text, ++rejected_count_};
  if (rejected_.size() <= kMaxRejected) return;
  rejected_.erase(std::min_element(rejected_.begin(), rejected_.end(),
                                   [](const auto& a, const auto& b) {
                                     return a.second.age < b.second.age;
                                   }));
}

// ---- What was left unfinished

void TableDirectory::leave_unfinished(const std::string& name,
                                      Unfinished what) {
  unfinished_[name] = what;
  watch_.watch(name, what.process);
}

// Somebody else's control operation ends the wait of those who may go on.
void TableDirectory::settle(std::optional<pid_t> except) {
  for (auto it = unfinished_.begin(); it != unfinished_.end();) {
    auto [name, what] = *it;
    if (what.process == except) {
      ++it;
      continue;
    }
    it = unfinished_.erase(it);
    watch_.forget(name);
    settle_one(name, what);
  }
}

void TableDirectory::settle_one(const std::string& name,
                                Unfinished what) noexcept {
  if (what.removes) {
    try {
      devices_.remove(name);
    } catch (const std::exception& error) {
      context_.events.on_event(
          {EventKind::error, name,
           std::string("it could not be removed: ") + error.what()});
    }
    catalog_.show(name);
  }
  MutexLock lock(names_mutex_);
  renamed_away_.erase(name);
}

// The process that unlinked or renamed a table makes it again. True if so.
bool TableDirectory::take_back(const std::string& name) {
  if (unfinished_.erase(name) == 0) return false;
  watch_.forget(name);
  catalog_.show(name);
  MutexLock lock(names_mutex_);
  renamed_away_.erase(name);
  return true;
}

void TableDirectory::finish() {
  MutexLock lock(control_mutex_);
  settle(std::nullopt);
}

ReloadReport TableDirectory::reload() {
  MutexLock lock(control_mutex_);
  settle(std::nullopt);
  return context_.options.spec_reload->run(
      [this](const std::string& name) { catalog_.wait_for_release(name); });
}

// ---- Names

std::optional<std::string> TableDirectory::live_text(
    const std::string& name) const {
  std::shared_ptr<DeviceNode> node = catalog_.find(name);
  if (node == nullptr) return std::nullopt;
  const std::string other = node->device().second_name_of();
  if (!other.empty()) return "# a second name of " + other + "\n";
  std::shared_ptr<const Table> table = node->device().live_table();
  if (table == nullptr) table = node->device().next_table();
  return table == nullptr ? std::string() : snapfs::text_of(*table);
}

std::optional<std::string> TableDirectory::newest_text(
    const std::string& name) const {
  std::shared_ptr<DeviceNode> node = catalog_.find(name);
  if (node == nullptr) return std::nullopt;
  std::shared_ptr<const Table> next = node->device().next_table();
  return next != nullptr ? next->text : live_text(name);
}

bool TableDirectory::exists(const std::string& name) const {
  return new_tables_.contains(name) ||
         (!renamed_away_.contains(name) && catalog_.find(name) != nullptr);
}

std::shared_ptr<TableNode> TableDirectory::table_node(
    const std::string& name) const {
  std::shared_ptr<TableNode>& node = tables_[name];
  if (node == nullptr) {
    // The directory itself does not change by remembering a node.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    auto& self = const_cast<TableDirectory&>(*this);
    node = std::make_shared<TableNode>(context_, self, name);
  }
  return node;
}

void TableDirectory::drop_table_node(const std::string& name) {
  auto found = tables_.find(name);
  if (found == tables_.end()) return;
  found->second->lose_name();
  tables_.erase(found);
}

std::optional<std::string> TableDirectory::text_of(
    const TableNode& node) const {
  MutexLock lock(names_mutex_);
  if (!node.has_name() || !exists(node.name())) return std::nullopt;
  return live_text(node.name()).value_or(std::string());
}

std::shared_ptr<Node> TableDirectory::lookup(const std::string& file) {
  TableName name = parse_table_name(file);
  MutexLock lock(names_mutex_);
  switch (name.kind) {
    case TableName::Kind::table:
      if (exists(name.device)) return table_node(name.device);
      tables_.erase(name.device);
      return nullptr;
    case TableName::Kind::rejected: {
      auto found = rejected_.find(name.device);
      if (found == rejected_.end()) return nullptr;
      return std::make_shared<TextNode>(
          context_, found->second.inode,
          [text = found->second.text] { return text; });
    }
    case TableName::Kind::scratch: {
      auto found = scratch_.find(file);
      return found == scratch_.end() ? nullptr : found->second;
    }
    case TableName::Kind::next: {
      std::shared_ptr<DeviceNode> node = catalog_.find(name.device);
      if (node == nullptr || node->device().next_table() == nullptr) {
        return nullptr;
      }
      return std::make_shared<NextTableNode>(context_, node);
    }
    case TableName::Kind::unusable:
      return nullptr;
  }
  return nullptr;
}

bool TableDirectory::is_there(const std::string& file) {
  return lookup(file) != nullptr;
}

std::vector<DirectoryEntry> TableDirectory::list() const {
  std::vector<DirectoryEntry> result;
  MutexLock lock(names_mutex_);
  std::set<std::string> names = new_tables_;
  for (const std::shared_ptr<DeviceNode>& node : catalog_.list()) {
    const std::string& name = node->device().name();
    // It has no table. Its name is found here all the same, to be removed.
    if (!node->device().second_name_of().empty()) continue;
    if (!renamed_away_.contains(name)) names.insert(name);
    if (node->device().next_table() != nullptr) {
      result.push_back(
          {node->next_table_inode(), name + ".next.yaml", S_IFREG});
    }
  }
  for (const std::string& name : names) {
    result.push_back({table_node(name)->inode(), name + ".yaml", S_IFREG});
  }
  for (const auto& [name, rejected] : rejected_) {
    result.push_back({rejected.inode, name + ".rejected", S_IFREG});
  }
  for (const auto& [file, node] : scratch_) {
    result.push_back({node->inode(), file, S_IFREG});
  }
  return result;
}

// ---- Create

Node::Created TableDirectory::create(const std::string& file,
                                     const Caller& caller, int flags) {
  if (file.size() > kMaxNameBytes) refuse(ENAMETOOLONG);
  MutexLock lock(control_mutex_);
  settle(process_of(caller.thread));
  TableName name = parse_table_name(file);
  switch (name.kind) {
    case TableName::Kind::table:
      return create_table(name.device, caller, flags);
    case TableName::Kind::scratch:
      return create_scratch(file, caller, flags);
    case TableName::Kind::unusable:
      context_.events.add_error("tables/" + file +
                                ": this cannot be the name of a device");
      refuse(EINVAL);
    case TableName::Kind::next:
      NextTableNode::refuse_writing(context_.events, name.device);
    case TableName::Kind::rejected:
      refuse(EPERM);
  }
  refuse(EPERM);
}

Node::Created TableDirectory::create_table(const std::string& name,
                                           const Caller& caller, int flags) {
  bool taken_back = take_back(name);
  std::shared_ptr<TableNode> node;
  {
    MutexLock lock(names_mutex_);
    if (exists(name) && !taken_back) {
      if ((flags & O_EXCL) != 0) refuse(EEXIST);
    } else if (!taken_back) {
      if (new_tables_.size() >= kMaxFiles) refuse(ENOSPC);
      new_tables_.insert(name);
    }
    node = table_node(name);
  }
  if (taken_back) return {node, node->open_new(caller)};
  return {node, node->open(caller, flags)};
}

void TableDirectory::add_scratch(const std::string& file,
                                 std::shared_ptr<ScratchNode> node) {
  if (!scratch_.contains(file) && scratch_.size() >= kMaxFiles) refuse(ENOSPC);
  scratch_[file] = std::move(node);
}

Node::Created TableDirectory::create_scratch(const std::string& file,
                                             const Caller& caller, int flags) {
  std::shared_ptr<ScratchNode> node;
  {
    MutexLock lock(names_mutex_);
    auto found = scratch_.find(file);
    if (found != scratch_.end()) {
      if ((flags & O_EXCL) != 0) refuse(EEXIST);
      node = found->second;
    } else {
      node = std::make_shared<ScratchNode>(context_, std::string());
      add_scratch(file, node);
    }
  }
  return {node, node->open(caller, flags)};
}

// ---- Unlink

void TableDirectory::unlink(const std::string& file, const Caller& caller) {
  pid_t process = process_of(caller.thread);
  MutexLock lock(control_mutex_);
  settle(process);
  if (!is_there(file)) refuse(ENOENT);
  TableName name = parse_table_name(file);
  if (name.kind == TableName::Kind::table) {
    return unlink_table(name.device, process);
  }
  if (name.kind == TableName::Kind::next) {
    return clear_next(name.device, process);
  }
  MutexLock names_lock(names_mutex_);
  if (name.kind == TableName::Kind::rejected) rejected_.erase(name.device);
  scratch_.erase(file);
}

void TableDirectory::unlink_table(const std::string& name, pid_t process) {
  if (devices_.find(name) != nullptr) {
    catalog_.wait_for_release(name);
    try {
      remove_device(name, process);
    } catch (const std::system_error& error) {
      context_.events.add_error(table_file(name) +
                                ": not removed: " + error.what());
      throw;
    }
  }
  MutexLock lock(names_mutex_);
  new_tables_.erase(name);
  drop_table_node(name);
}

void TableDirectory::remove_device(const std::string& name, pid_t process) {
  if (only_removes(process)) return devices_.remove(name);
  devices_.check_unwanted(name);
  catalog_.hide(name);
  leave_unfinished(name, {process, true});
}

// A move onto it would drop the table and then fail to make the file.
void TableDirectory::clear_next(const std::string& name, pid_t process) {
  if (replaces_files(process)) {
    NextTableNode::refuse_writing(context_.events, name);
  }
  devices_.clear(name);
}

// ---- Rename

void TableDirectory::rename(const std::string& from, const std::string& to,
                            unsigned flags, const Caller& caller) {
  if ((flags | RENAME_NOREPLACE) != RENAME_NOREPLACE) refuse(EINVAL);
  if (to.size() > kMaxNameBytes) refuse(ENAMETOOLONG);
  pid_t process = process_of(caller.thread);
  MutexLock lock(control_mutex_);
  settle(process);
  if (!is_there(from)) refuse(ENOENT);
  if ((flags & RENAME_NOREPLACE) != 0 && is_there(to)) refuse(EEXIST);
  if (from == to) return;
  TableName name = parse_table_name(from);
  switch (name.kind) {
    case TableName::Kind::table:
      return rename_table(name.device, to, process);
    case TableName::Kind::scratch:
      return rename_scratch(from, to, process);
    case TableName::Kind::rejected:
    case TableName::Kind::next:
    case TableName::Kind::unusable:
      refuse(EPERM);
  }
}

// An editor keeps the old text under another name and will write the table
// anew. The device stays as it is.
void TableDirectory::rename_table(const std::string& name,
                                  const std::string& to, pid_t process) {
  if (parse_table_name(to).kind != TableName::Kind::scratch) refuse(EPERM);
  {
    MutexLock lock(names_mutex_);
    add_scratch(to, std::make_shared<ScratchNode>(
                        context_, live_text(name).value_or(std::string())));
    new_tables_.erase(name);
    renamed_away_.insert(name);
    drop_table_node(name);
  }
  leave_unfinished(name, {process, false});
}

void TableDirectory::rename_scratch(const std::string& from,
                                    const std::string& to, pid_t) {
  TableName name = parse_table_name(to);
  std::shared_ptr<ScratchNode> node;
  {
    MutexLock lock(names_mutex_);
    node = scratch_.at(from);
    if (name.kind == TableName::Kind::scratch) {
      scratch_.erase(from);
      scratch_[to] = node;
      return;
    }
  }
  if (name.kind != TableName::Kind::table) refuse(EPERM);
  take_back(name.device);
  int error = node->text().empty()
                  ? loader_.refuse(name.device, "the table is empty")
                  : take_locked(name.device, node->text());
  // From rename(2), ENOENT would say that the file to be renamed is missing.
  if (error != 0) refuse(error == ENOENT ? EBADMSG : error);
  MutexLock lock(names_mutex_);
  scratch_.erase(from);
}

}  // namespace snapfs

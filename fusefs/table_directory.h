// SPDX-License-Identifier: MIT
//
// .control/tables: a file per live table, one per table that is loaded but not
// live yet, the texts that were refused, and the files that editors make on
// their way. Writing, removing and renaming here
// loads and removes devices; these are carried out one at a time. Thread-safe.
//
// Removing. `mv` from another filesystem onto a table unlinks it and creates it
// again, which must replace the table and not destroy the device. So an unlink
// hides the device at once and removes it when the process has ended, when
// somebody else does something here, or after a second; a create of the same
// name by the same process takes it back. Programs that only ever remove
// (rm) are answered when the device has been removed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/mutex.h"
#include "fusefs/device_catalog.h"
#include "fusefs/exit_watch.h"
#include "fusefs/node.h"
#include "fusefs/scratch_node.h"
#include "fusefs/spec_reload.h"
#include "fusefs/table_loader.h"
#include "fusefs/table_node.h"
#include "fusefs/tree_context.h"

namespace snapfs {

class TableDirectory : public Node {
 public:
  // How many scratch files, new tables without a text, and refused texts there
  // may be, each.
  static constexpr std::size_t kMaxFiles = 256;
  static constexpr std::size_t kMaxRejected = 64;

  TableDirectory(TreeContext& context, DeviceCatalog& catalog,
                 DeviceSet& devices);

  // The text of the table; empty for a new one; nothing if there is none, or
  // its name has gone to another node.
  std::optional<std::string> text_of(const TableNode& node) const
      EXCLUDES(names_mutex_);

  // Tries a text. 0, or the errno of a refusal, which has been reported.
  int take(TableNode& node, const std::string& text)
      EXCLUDES(control_mutex_, names_mutex_);
  int give_up(TableNode& node, const std::string& text,
              const std::string& reason) EXCLUDES(control_mutex_, names_mutex_);
  int check(const TableNode& node, const std::string& text) const;

  // Reads SPEC again and applies its changes.
  // REQUIRES: Filesystem::Options::spec_reload is set.
  ReloadReport reload() EXCLUDES(control_mutex_, names_mutex_);

  // Carries out the removals that still wait.
  void finish() EXCLUDES(control_mutex_, names_mutex_);

  struct stat attributes() const override;
  double attribute_timeout() const override { return 3600; }
  uint64_t parent() const override { return kControlInode; }
  std::shared_ptr<Node> lookup(const std::string& file) override
      EXCLUDES(names_mutex_);
  std::vector<DirectoryEntry> list() const override EXCLUDES(names_mutex_);
  Created create(const std::string& file, const Caller& caller,
                 int flags) override EXCLUDES(control_mutex_, names_mutex_);
  void unlink(const std::string& file, const Caller& caller) override
      EXCLUDES(control_mutex_, names_mutex_);
  void rename(const std::string& from, const std::string& to, unsigned flags,
              const Caller& caller) override
      EXCLUDES(control_mutex_, names_mutex_);

 private:
  // What a process left half done: it unlinked a table (the device goes if
  // nothing follows), or renamed it away (its name comes back if nothing does).
  struct Unfinished {
    pid_t process;
    bool removes;
  };
  struct Rejected {
    uint64_t inode;
    std::string text;
    uint64_t age;
  };

  // Control operations.
  void settle(std::optional<pid_t> except) REQUIRES(control_mutex_)
      EXCLUDES(names_mutex_);
  void settle_one(const std::string& name, Unfinished what) noexcept
      REQUIRES(control_mutex_) EXCLUDES(names_mutex_);
  bool take_back(const std::string& name) REQUIRES(control_mutex_)
      EXCLUDES(names_mutex_);
  void leave_unfinished(const std::string& name, Unfinished what)
      REQUIRES(control_mutex_) EXCLUDES(names_mutex_);
  int take_locked(const std::string& name, const std::string& text)
      REQUIRES(control_mutex_) EXCLUDES(names_mutex_);
  void keep_rejected(const std::string& name, const std::string& text)
      REQUIRES(control_mutex_) EXCLUDES(names_mutex_);
  Created create_table(const std::string& name, const Caller& caller, int flags)
      REQUIRES(control_mutex_) EXCLUDES(names_mutex_);
  Created create_scratch(const std::string& file, const Caller& caller,
                         int flags) REQUIRES(control_mutex_)
      EXCLUDES(names_mutex_);
  void unlink_table(const std::string& name, pid_t process)
      REQUIRES(control_mutex_) EXCLUDES(names_mutex_);
  void rename_table(const std::string& name, const std::string& to,
                    pid_t process) REQUIRES(control_mutex_)
      EXCLUDES(names_mutex_);
  void rename_scratch(const std::string& from, const std::string& to,
                      pid_t process) REQUIRES(control_mutex_)
      EXCLUDES(names_mutex_);

  // Names.
  std::optional<std::string> live_text(const std::string& name) const
      REQUIRES(names_mutex_);
  // The text that was taken last, if a device is there.
  std::optional<std::string> newest_text(const std::string& name) const
      REQUIRES(names_mutex_);
  void clear_next(const std::string& name, pid_t process)
      REQUIRES(control_mutex_);
  void remove_device(const std::string& name, pid_t process)
      REQUIRES(control_mutex_);
  bool exists(const std::string& name) const REQUIRES(names_mutex_);
  bool is_there(const std::string& file) EXCLUDES(names_mutex_);
  std::shared_ptr<TableNode> table_node(const std::string& name) const
      REQUIRES(names_mutex_);
  void drop_table_node(const std::string& name) REQUIRES(names_mutex_);
  void add_scratch(const std::string& file, std::shared_ptr<ScratchNode> node)
      REQUIRES(names_mutex_);

  TreeContext& context_;
  DeviceCatalog& catalog_;
  DeviceSet& devices_;

  // One control operation at a time; held while a device is loaded or removed,
  // and never together with an answer.
  Mutex control_mutex_;
  TableLoader loader_ GUARDED_BY(control_mutex_);
  std::map<std::string, Unfinished> unfinished_ GUARDED_BY(control_mutex_);
  uint64_t rejected_count_ GUARDED_BY(control_mutex_) = 0;

  // What the names are; taken after control_mutex_, held for moments only.
  mutable Mutex names_mutex_ ACQUIRED_AFTER(control_mutex_);
  // Made when first asked for, so that numbers stay; tables by device name.
  mutable std::map<std::string, std::shared_ptr<TableNode>> tables_
      GUARDED_BY(names_mutex_);
  std::set<std::string> new_tables_ GUARDED_BY(names_mutex_);  // not live yet
  std::set<std::string> renamed_away_ GUARDED_BY(names_mutex_);
  std::map<std::string, std::shared_ptr<ScratchNode>> scratch_
      GUARDED_BY(names_mutex_);
  std::map<std::string, Rejected> rejected_ GUARDED_BY(names_mutex_);

  ExitWatch watch_;  // last: its thread uses everything above
};

}  // namespace snapfs

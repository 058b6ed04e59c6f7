// SPDX-License-Identifier: MIT
//
// Keeps the tables of a mount in its SPEC (-o save). In a directory the live
// table is in NAME.yaml, or in the file that has held it, and the next one in
// NAME.next.yaml; a SPEC that is a file holds all of them. Files change as a
// whole: a temporary file, fsync, rename, fsync of the directory. Thread-safe.
//
// A waiting table is written with all that it will say when it is live, so its
// handover is committed by renaming NAME.next.yaml to NAME.yaml, which needs no
// space. With `handover_from` in it, the file of the source can go later.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/table_reader.h"
#include "core/mutex.h"
#include "core/table_keeper.h"
#include "core/unique_fd.h"

namespace snapfs {

class SpecWriter : public TableKeeper {
 public:
  // `spec` as it was read. Throws std::system_error if there is no way to its
  // directory.
  explicit SpecWriter(const Spec& spec);

  void keep_new(const KeptDevices& devices) override EXCLUDES(mutex_);
  void keep(const KeptDevices& devices) override EXCLUDES(mutex_);

  // SPEC has been read again. What it says of tables that do not change stays
  // as it is.
  void refresh(const Spec& spec) EXCLUDES(mutex_);

  // What is kept, as SPEC would have it: live tables and next ones.
  KeptDevices kept() const EXCLUDES(mutex_);

 private:
  // A table in a file.
  struct Entry {
    std::string name;
    bool waits = false;
    std::string text;
    int rank = 0;  // origins, then snapshots, then what waits

    bool operator==(const Entry&) const = default;
  };
  struct File {
    std::string text;
    std::vector<Entry> entries;  // in the order of the text
  };
  // What a file is to hold; nothing: it is to go.
  using Wanted = std::map<std::string, std::vector<Entry>>;

  void change(const KeptDevices& devices, bool drop_old) EXCLUDES(mutex_);
  void check_origins(const KeptDevices& devices) const REQUIRES(mutex_);
  std::set<std::string> changed_names(const KeptDevices& devices) const
      REQUIRES(mutex_);
  Wanted wanted_files(const KeptDevices& devices,
                      const std::set<std::string>& names) const
      REQUIRES(mutex_);
  void sync(const KeptDevices& devices, const std::set<std::string>& names,
            bool drop_old) REQUIRES(mutex_);
  std::vector<Entry> entries_of(const std::string& name,
                                const KeptDevice& device) const;
  std::string home_of(const Entry& entry) const REQUIRES(mutex_);
  File make_file(const std::string& file, std::vector<Entry> entries) const
      REQUIRES(mutex_);
  File read_back(const std::string& file, const std::string& text) const;
  bool is_in_sync(const std::string& file,
                  const std::vector<Entry>& entries) const REQUIRES(mutex_);
  bool loses_tables(const std::string& file,
                    const std::vector<Entry>& entries) const REQUIRES(mutex_);
  bool rename_instead(const std::string& file, const File& wanted,
                      const Wanted& all) REQUIRES(mutex_);
  void write(const std::string& file, const std::vector<Entry>& entries,
             const Wanted& all) REQUIRES(mutex_);
  void drop(const std::string& file) REQUIRES(mutex_);
  void check_unchanged(const std::string& file, const std::string* wanted) const
      REQUIRES(mutex_);
  void sync_directory() const;
  std::string disk_name(const std::string& file) const;
  std::string shown(const std::string& file) const;

  const bool is_directory_;
  const std::string base_dir_;  // relative paths in tables are relative to it
  const std::string file_;      // a SPEC that is a file: its name
  std::string directory_path_;  // where the files are
  std::string real_name_;       // of file_, when links have been followed
  UniqueFd directory_;

  mutable Mutex mutex_;
  std::map<std::string, File> files_ GUARDED_BY(mutex_);  // as last seen
  KeptDevices kept_ GUARDED_BY(mutex_);
  bool is_first_ GUARDED_BY(mutex_) = true;
  std::set<std::string> unfinished_ GUARDED_BY(mutex_);  // names
};

}  // namespace snapfs

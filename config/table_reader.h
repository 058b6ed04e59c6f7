// SPDX-License-Identifier: MIT
//
// YAML tables -> core/table.h. The format is described in snapfs-table(5).
// Every error is a TableError at FILE:LINE:COLUMN, lines and columns (in
// bytes) counted from 1. Stateless: any thread may call anything.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "core/table.h"

namespace snapfs {

// Limits that keep hostile input cheap: more than this is an error. What the
// YAML library needs for a document in the worst case, all opening brackets, is
// 240 times its size; what it needs for a file is what its longest document
// needs.
inline constexpr std::size_t kMaxTableBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxDocumentBytes = std::size_t{1} << 16;
inline constexpr std::size_t kMaxTables = 4096;  // in one file
inline constexpr std::size_t kMaxDocumentNodes = 1000;
inline constexpr unsigned kMaxDocumentDepth = 8;

struct ReadTablesOptions {
  std::string file;          // for messages: the name the user knows it by
  std::string base_dir;      // absolute; relative paths are relative to it
  std::string default_name;  // of a one-document text without `name:`
};

// One table, of its own name, for each YAML document of `text` that is not
// empty; at least one. Each Table::text makes the same table again when it is
// read with the table's name as the default name. Opens nothing: that a device
// exists is for the core to see.
std::vector<Table> read_tables(const std::string& text,
                               const ReadTablesOptions& options);

// A SPEC as the user named it: a table file or a directory of *.yaml.
struct Spec {
  std::string path;  // absolute, without a slash at the end
  bool is_directory = false;
  std::string base_dir;       // absolute: what relative paths are relative to
  std::vector<Table> tables;  // none for a directory without tables
  // Those that wait: of NAME.next.yaml, and those that say so themselves. They
  // may have names of `tables`, and are to be loaded after them.
  std::vector<Table> waiting;
  // The texts of its files, by their names in the directory; of a file, that
  // one. A Table's place has the name behind its last slash.
  std::map<std::string, std::string> files;
};

// Reads SPEC whole, the files of a directory in the order of their names.
// Names are unique in each of the lists (else a TableError that names both
// places). `path` may be relative to the working directory.
Spec read_spec(const std::string& path);

// What the file `name` of a SPEC holds, if its text is this; as `options` say,
// but for the default name. Tables of NAME.next.yaml have `waits` set.
std::vector<Table> read_spec_file(const std::string& name,
                                  const std::string& text,
                                  ReadTablesOptions options);

// Is this a name that a device can have? [A-Za-z0-9][A-Za-z0-9._+-]{0,126},
// and not ending in .next or .rejected.
bool is_device_name(const std::string& name);

}  // namespace snapfs

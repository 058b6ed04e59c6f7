// SPDX-License-Identifier: MIT
//
// YAML tables -> core/table.h. The format is described in snapfs-table(5).
// Every error is a TableError at FILE:LINE:COLUMN. Stateless.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/table.h"

namespace snapfs {

// Limits that keep hostile input cheap: a longer or deeper text is an error.
inline constexpr std::size_t kMaxTableBytes = std::size_t{1} << 20;

struct ReadTablesOptions {
  std::string file;          // for messages: the name the user knows it by
  std::string base_dir;      // absolute; relative paths are relative to it
  std::string default_name;  // of a one-document text without `name:`
};

// One table for each YAML document of `text`.
std::vector<Table> read_tables(const std::string& text,
                               const ReadTablesOptions& options);

// A SPEC as the user named it: a table file or a directory of *.yaml.
struct Spec {
  std::string path;      // absolute
  bool is_directory = false;
  std::string base_dir;  // absolute: what relative paths are relative to
  std::vector<Table> tables;
};

// Reads SPEC whole. Names are unique in it (else a TableError that names both
// places). `path` may be relative to the working directory.
Spec read_spec(const std::string& path);

// Is this a name that a device can have? [A-Za-z0-9][A-Za-z0-9._+-]{0,126},
// and not ending in .next or .rejected.
bool is_device_name(const std::string& name);

}  // namespace snapfs

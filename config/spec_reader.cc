// SPDX-License-Identifier: MIT
//
// SPEC -> tables: finds the files, and leaves what is in them to read_tables().
#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <boost/filesystem/path.hpp>
#include <cerrno>
#include <string_view>
#include <utility>
#include <variant>

#include "config/messages.h"
#include "config/table_names.h"
#include "config/table_reader.h"
#include "config/text_file.h"

namespace snapfs {
namespace {

namespace fs = boost::filesystem;

// "tables/" is the same SPEC as "tables", and the same source of the mount.
std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

constexpr std::string_view kNextEnding = ".next.yaml";

bool is_table_file(const std::string& name) {
  return name.front() != '.' && name.ends_with(".yaml");
}

std::vector<std::string> table_files(const fs::path& directory) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    std::string name = entry.path().filename().string();
    if (is_table_file(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

// `path`: as messages call it.
void read_file(const fs::path& path, Spec& spec) {
  ReadTablesOptions options;
  options.file = path.string();
  options.base_dir = spec.base_dir;
  std::string name = path.filename().string();
  std::string text = read_text_file(options.file);
  std::vector<Table> tables = read_spec_file(name, text, std::move(options));
  for (Table& table : tables)
    (table.waits ? spec.waiting : spec.tables).push_back(std::move(table));
  spec.files[std::move(name)] = std::move(text);
}

Spec read_existing(const fs::path& path) {
  Spec spec;
  spec.path = fs::absolute(path).string();
  spec.is_directory = fs::is_directory(path);
  if (spec.is_directory) {
    spec.base_dir = spec.path;
    for (const std::string& name : table_files(path))
      read_file(path / name, spec);
  } else {
    spec.base_dir = fs::path(spec.path).parent_path().string();
    read_file(path, spec);
  }
  check_unique_names(spec.tables);
  check_unique_names(spec.waiting);
  return spec;
}

}  // namespace

// NAME.next.yaml is a table that waits for its moment beside the live
// NAME.yaml, whatever else it says.
std::vector<Table> read_spec_file(const std::string& name,
                                  const std::string& text,
                                  ReadTablesOptions options) {
  const bool is_next = name.ends_with(kNextEnding);
  options.default_name = is_next
                             ? name.substr(0, name.size() - kNextEnding.size())
                             : fs::path(name).stem().string();
  std::vector<Table> tables = read_tables(text, options);
  for (Table& table : tables) {
    if (!is_next) continue;
    if (std::holds_alternative<OriginTable>(table.target))
      fail(table.place, "a snapshot-origin cannot wait, as *.next.yaml does");
    table.waits = true;
    table.was_live = false;
  }
  return tables;
}

Spec read_spec(const std::string& path) {
  try {
    return read_existing(without_trailing_slashes(path));
  } catch (const fs::filesystem_error& error) {
    fail({path}, "cannot read: " + error.code().message(),
         error.code().value());
  }
}

}  // namespace snapfs

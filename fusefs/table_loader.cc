// SPDX-License-Identifier: MIT
#include "fusefs/table_loader.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "config/table_reader.h"
#include "core/error.h"

namespace snapfs {
namespace {

// mv(1) takes EINVAL for a directory moved into itself and EXDEV for a reason
// to copy; "Bad message" is what is meant.
int errno_for_user(int error) {
  return error == EINVAL || error == EXDEV || error == 0 ? EBADMSG : error;
}

std::optional<TableError> error_in(const std::string& text,
                                   const ReadTablesOptions& options) {
  try {
    read_tables(text, options);
    return std::nullopt;
  } catch (const TableError& error) {
    return error;
  }
}

unsigned line_count(const std::string& text) {
  return static_cast<unsigned>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

std::string table_file(const std::string& name) {
  return "tables/" + name + ".yaml";
}

int TableLoader::load(const std::string& name, const std::string& text) {
  try {
    devices_.load(read_tables(text, {.file = table_file(name),
                                     .base_dir = base_dir_,
                                     .default_name = name}));
    return 0;
  } catch (const TableError& error) {
    events_.add_error(error.what());
    events_.on_event({EventKind::refuse, name, error.message()});
    return errno_for_user(error.error());
  } catch (const std::exception& error) {
    refuse(name, error.what());
    return errno_for_user(errno_of(error));
  }
}

int TableLoader::refuse(const std::string& name, const std::string& reason) {
  events_.add_error(table_file(name) + ": " + reason);
  events_.on_event({EventKind::refuse, name, reason});
  return EBADMSG;
}

// What is missing may still come, in a key behind what is there. So a key that
// nobody knows is put behind it: an error that stands before that key, and is
// the same with and without it, is there to stay. When in doubt this finds
// nothing, and the error comes when the table is taken.
int TableLoader::check(const std::string& name, const std::string& text,
                       const std::string& base_dir) {
  // The last line may not be complete yet.
  std::string complete = text.substr(0, text.rfind('\n') + 1);
  if (complete.empty()) return 0;
  ReadTablesOptions options{
      .file = table_file(name), .base_dir = base_dir, .default_name = name};
  std::optional<TableError> error = error_in(complete, options);
  if (!error || error->place().line == 0) return 0;
  std::optional<TableError> other =
      error_in(complete + "more-may-follow: true\n", options);
  bool stays = other && other->place().line == error->place().line &&
               other->place().column == error->place().column &&
               other->message() == error->message() &&
               error->place().line <= line_count(complete);
  return stays ? errno_for_user(error->error()) : 0;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A directory of a test's own, deleted with all that is in it at the end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace snapfs::test {

class TempDir {
 public:
  // Under $TMPDIR, or /tmp. Throws std::system_error.
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string path(std::string_view name) const;

  // A file with this text; returns its path.
  std::string write_file(std::string_view name, std::string_view text) const;
  // A sparse file of this many bytes; returns its path.
  std::string make_file(std::string_view name, uint64_t bytes) const;

 private:
  std::string path_;
};

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "core/error.h"

namespace snapfs::test {

TempDir::TempDir() {
  const char* base = std::getenv("TMPDIR");
  path_ = std::string(base != nullptr && *base != '\0' ? base : "/tmp") +
          "/snapfs-test-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) throw_errno("cannot make", path_);
  // Tests compare what the kernel says of a path with what they asked for.
  path_ = std::filesystem::canonical(path_).string();
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::path(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

std::string TempDir::write_file(std::string_view name,
                                std::string_view text) const {
  std::string file = path(name);
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) throw std::runtime_error("cannot write " + file);
  return file;
}

std::string TempDir::make_file(std::string_view name, uint64_t bytes) const {
  std::string file = write_file(name, "");
  std::filesystem::resize_file(file, bytes);
  return file;
}

}  // namespace snapfs::test

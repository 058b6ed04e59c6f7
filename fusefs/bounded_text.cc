// SPDX-License-Identifier: MIT
#include "fusefs/bounded_text.h"

#include <cerrno>
#include <cstring>
#include <system_error>

namespace snapfs {

void write_text(std::string& text, uint64_t offset,
                std::span<const std::byte> data, std::size_t limit) {
  if (data.empty()) return;
  if (offset > limit || data.size() > limit - offset) {
    throw std::system_error(EFBIG, std::generic_category());
  }
  if (text.size() < offset + data.size()) text.resize(offset + data.size());
  std::memcpy(text.data() + offset, data.data(), data.size());
}

void resize_text(std::string& text, uint64_t size, std::size_t limit) {
  if (size > limit) throw std::system_error(EFBIG, std::generic_category());
  text.resize(size);
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// A small file's content in memory: writing and cutting it as pwrite(2) and
// ftruncate(2) do, up to a limit. Stateless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace snapfs {

// Both throw std::system_error(EFBIG) beyond `limit` bytes and have changed
// nothing then. Gaps are filled with zero bytes.
void write_text(std::string& text, uint64_t offset,
                std::span<const std::byte> data, std::size_t limit);
void resize_text(std::string& text, uint64_t size, std::size_t limit);

}  // namespace snapfs

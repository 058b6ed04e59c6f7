// SPDX-License-Identifier: MIT
//
// The bytes of a fuzzer, as the choices that a target makes. When they are used
// up, every choice is 0. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace snapfs::test {

class Input {
 public:
  Input(const uint8_t* data, std::size_t size) : data_(data), left_(size) {}

  bool empty() const { return left_ == 0; }

  uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }

  // Little-endian.
  uint64_t number(unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= uint64_t{byte()} << (8 * i);
    return value;
  }

  // Below `below`, which is at most 65536.
  uint64_t pick(uint64_t below) {
    if (below <= 1) return 0;
    return number(below <= 256 ? 1 : 2) % below;
  }

  std::string text(std::size_t size) {
    size = std::min(size, left_);
    std::string result(reinterpret_cast<const char*>(data_), size);
    data_ += size;
    left_ -= size;
    return result;
  }
  std::string rest() { return text(left_); }

 private:
  const uint8_t* data_;
  std::size_t left_;
};

// Ends the program if the condition does not hold: that is what a fuzzer finds.
inline void require(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "FAILED: %s\n", what.c_str());
  std::abort();
}

}  // namespace snapfs::test

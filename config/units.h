// SPDX-License-Identifier: MIT
//
// Numbers with units. Pure functions. They saturate: what does not fit is the
// largest value of its type, which is out of every caller's range.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace snapfs {

struct Size {
  uint64_t number = 0;    // as written, or
  bool has_unit = false;  // bytes, if there was a unit
};

// `16`, `16KiB`, `64 K`. Letters in either case:
//   B                  bytes
//   s                  sectors of 512 bytes
//   K M G T P E        powers of 1024, as in lvm(8), systemd and qemu-img
//   KiB MiB ...        the same
//   KB MB ...          powers of 1000, as in dd(1)
// Nothing if the text is not of this form.
std::optional<Size> parse_size(std::string_view text);

// `5s`, `500ms`, `2min`, `1h`; a bare number is seconds, as in systemd.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// A whole number without sign or unit.
std::optional<uint64_t> parse_number(std::string_view text);

}  // namespace snapfs

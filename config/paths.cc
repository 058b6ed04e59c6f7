// SPDX-License-Identifier: MIT
#include "config/paths.h"

#include <boost/filesystem/path.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "config/units.h"

namespace snapfs {
namespace {

std::optional<uint64_t> device_number(std::string_view text) {
  std::optional<uint64_t> number = parse_number(text);
  if (number > std::numeric_limits<uint32_t>::max()) number.reset();
  return number;
}

}  // namespace

std::string device_path(const std::string& base_dir, const std::string& text) {
  if (std::size_t colon = text.find(':'); colon != std::string::npos) {
    auto major = device_number(std::string_view(text).substr(0, colon));
    auto minor = device_number(std::string_view(text).substr(colon + 1));
    if (major && minor)
      return "/dev/block/" + std::to_string(*major) + ":" +
             std::to_string(*minor);
  }
  boost::filesystem::path path(text);
  if (path.is_absolute()) return text;
  return (boost::filesystem::path(base_dir) / path).string();
}

}  // namespace snapfs

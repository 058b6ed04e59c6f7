// SPDX-License-Identifier: MIT
//
// How the config layer words what is wrong. Stateless.
#pragma once

#include <cerrno>
#include <span>
#include <string>
#include <string_view>

#include "core/table.h"

namespace snapfs {

// Throws TableError.
[[noreturn]] void fail(const Place& place, const std::string& message,
                       int error = EINVAL);

// The text between double quotes, fit for one line of a terminal or a log:
// long text is cut short, bytes outside printable ASCII are escaped.
std::string quote(std::string_view text);

// The candidate with the smallest edit distance to `word`, the first such one.
// REQUIRES: !candidates.empty().
std::string_view nearest(std::string_view word,
                         std::span<const std::string_view> candidates);

}  // namespace snapfs

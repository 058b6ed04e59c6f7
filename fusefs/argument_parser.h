// SPDX-License-Identifier: MIT
//
// getopt_long(3) on a vector of strings: what it finds wrong becomes a
// UsageError. Not thread-safe, as getopt(3) itself.
#pragma once

#include <getopt.h>

#include <functional>
#include <string>
#include <vector>

namespace snapfs {

// Calls take(letter, argument) for each option and returns what is left.
// `letters` is getopt(3)'s; --help gives 'h' and --version 'V' if these are
// among the letters, other long options as `more` says.
std::vector<std::string> parse_arguments(
    const std::vector<std::string>& arguments, const std::string& letters,
    const std::vector<::option>& more,
    const std::function<void(int letter, const std::string& argument)>& take);

}  // namespace snapfs

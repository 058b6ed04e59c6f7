// SPDX-License-Identifier: MIT
#include "fusefs/argument_parser.h"

#include "fusefs/mount_options.h"

namespace snapfs {
namespace {

// The word of the command line that getopt stopped at.
std::string offending_option(const std::vector<char*>& argv) {
  if (::optopt > 0 && ::optopt < 128) return {'-', static_cast<char>(::optopt)};
  return argv[static_cast<std::size_t>(::optind - 1)];
}

}  // namespace

std::vector<std::string> parse_arguments(
    const std::vector<std::string>& arguments, const std::string& letters,
    const std::vector<::option>& more,
    const std::function<void(int letter, const std::string& argument)>& take) {
  std::vector<std::string> words = arguments;
  words.insert(words.begin(), "snapfs");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int argc = static_cast<int>(words.size());

  std::vector<::option> long_options = more;
  if (letters.find('h') != std::string::npos)
    long_options.push_back({"help", no_argument, nullptr, 'h'});
  if (letters.find('V') != std::string::npos)
    long_options.push_back({"version", no_argument, nullptr, 'V'});
  long_options.push_back({nullptr, 0, nullptr, 0});

  // Zero makes glibc start afresh, the colon tells a missing argument from an
  // unknown option and keeps getopt silent.
  ::optind = 0;
  const std::string spec = ":" + letters;
  for (;;) {
    const int letter = ::getopt_long(argc, argv.data(), spec.c_str(),
                                     long_options.data(), nullptr);
    if (letter == -1) break;
    if (letter == '?')
      throw UsageError("unknown option: " + offending_option(argv));
    if (letter == ':')
      throw UsageError("option " + offending_option(argv) +
                       " needs an argument");
    take(letter, ::optarg ? ::optarg : "");
  }
  return {argv.begin() + ::optind, argv.begin() + argc};
}

}  // namespace snapfs

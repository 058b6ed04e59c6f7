// SPDX-License-Identifier: MIT
#include "fusefs/mount_options.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <string_view>

namespace snapfs {
namespace {

// Options that say something to mount(8), systemd or another filesystem, or
// that ask for what is the case anyway. A name that ends in '=' takes a value.
constexpr std::array kIgnored = {
    "_netdev",    "auto",        "noauto",     "defaults",    "nofail",
    "user",       "user=",       "users",      "nouser",      "owner",
    "noowner",    "group",       "nogroup",    "comment=",    "uhelper=",
    "helper=",    "relatime",    "norelatime", "strictatime", "nostrictatime",
    "lazytime",   "nolazytime",  "diratime",   "nodiratime",  "nonempty",
    "silent",     "loud",        "mand",       "nomand",      "iversion",
    "noiversion", "nosymfollow", "symfollow"};

// Options that the kernel knows and libfuse or fusermount3 hands on.
constexpr std::array kPassedOn = {
    "suid",         "nosuid",    "dev",        "nodev",       "exec",
    "noexec",       "sync",      "async",      "dirsync",     "atime",
    "noatime",      "context=",  "fscontext=", "defcontext=", "rootcontext=",
    "auto_unmount", "allow_root"};

struct Option {
  std::string key;  // with '=' if there is a value
  std::string value;

  std::string text() const { return key + value; }
  // As the kernel wants it, which splits at commas outside of quotes.
  std::string kernel_text() const {
    const bool comma = value.find(',') != std::string::npos;
    return comma ? key + '"' + value + '"' : text();
  }
  // The key as the user knows it.
  std::string name() const {
    return key.ends_with('=') ? key.substr(0, key.size() - 1) : key;
  }
};

template <typename Names>
bool contains(const Names& names, const std::string& key) {
  return std::find(names.begin(), names.end(), key) != names.end();
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      parts.back() += text[++i];
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == ',' && !quoted) {
      parts.emplace_back();
    } else {
      parts.back() += text[i];
    }
  }
  std::erase(parts, "");
  return parts;
}

Option parse(const std::string& part) {
  const std::size_t equals = part.find('=');
  if (equals == std::string::npos) return {part, ""};
  return {part.substr(0, equals + 1), part.substr(equals + 1)};
}

[[noreturn]] void bad_value(const Option& option, const std::string& expected) {
  throw UsageError("option " + option.name() + ": expected " + expected +
                   ", got \"" + option.value + "\"");
}

template <typename Number>
std::optional<Number> parse_number(const std::string& text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  if (text.empty() || result.ec != std::errc() || result.ptr != end) return {};
  return number;
}

uid_t parse_user(const Option& option) {
  if (auto number = parse_number<uid_t>(option.value)) return *number;
  if (const passwd* user = ::getpwnam(option.value.c_str()))
    return user->pw_uid;
  bad_value(option, "a user");
}

gid_t parse_group(const Option& option) {
  if (auto number = parse_number<gid_t>(option.value)) return *number;
  if (const ::group* found = ::getgrnam(option.value.c_str()))
    return found->gr_gid;
  bad_value(option, "a group");
}

unsigned parse_threads(const Option& option) {
  const auto number = parse_number<unsigned>(option.value);
  if (!number || *number < 1 || *number > 1024)
    bad_value(option, "a number from 1 to 1024");
  return *number;
}

std::string parse_text(const Option& option) {
  if (option.value.empty()) bad_value(option, "a text");
  return option.value;
}

struct OwnOption {
  std::string_view key;
  void (*take)(const Option&, MountOptions&);
};

constexpr OwnOption kOwn[] = {
    {"ro", [](const Option&, MountOptions& m) { m.read_only = true; }},
    {"rw", [](const Option&, MountOptions& m) { m.read_only = false; }},
    {"save", [](const Option&, MountOptions& m) { m.save = true; }},
    {"nosave", [](const Option&, MountOptions& m) { m.save = false; }},
    {"foreground", [](const Option&, MountOptions& m) { m.foreground = true; }},
    {"debug", [](const Option&, MountOptions& m) { m.debug = true; }},
    {"allow_other",
     [](const Option&, MountOptions& m) { m.allow_other = true; }},
    // Set in any case, see session_options().
    {"default_permissions", [](const Option&, MountOptions&) {}},
    {"clone_fd", [](const Option&, MountOptions& m) { m.clone_fd = true; }},
    {"fsname=",
     [](const Option& o, MountOptions& m) { m.fsname = parse_text(o); }},
    // umount(8)'s helper and other snapfs know a mount by this name.
    {"subtype=",
     [](const Option& o, MountOptions&) {
       if (o.value != "snapfs") bad_value(o, "snapfs");
     }},
    {"max_threads=", [](const Option& o,
                        MountOptions& m) { m.max_threads = parse_threads(o); }},
    {"uid=", [](const Option& o, MountOptions& m) { m.uid = parse_user(o); }},
    {"gid=", [](const Option& o, MountOptions& m) { m.gid = parse_group(o); }},
    {"remount",
     [](const Option&, MountOptions&) {
       throw UsageError(
           "option remount: a snapfs cannot be remounted, "
           "unmount it and mount it again");
     }},
};

bool take_own(const Option& option, MountOptions& options) {
  for (const OwnOption& own : kOwn) {
    if (own.key != option.key) continue;
    own.take(option, options);
    return true;
  }
  return false;
}

bool is_ignored(const Option& option) {
  return option.key.starts_with("x-") || option.key.starts_with("X-") ||
         contains(kIgnored, option.key);
}

// What is wrong with an option that is in none of the tables.
std::string complaint(const Option& option) {
  const bool has_value = option.key.ends_with('=');
  const std::string other = has_value ? option.name() : option.key + "=";
  const bool known =
      contains(kPassedOn, other) || contains(kIgnored, other) ||
      std::any_of(std::begin(kOwn), std::end(kOwn),
                  [&](const OwnOption& own) { return own.key == other; });
  if (!known) return "unknown option: " + option.text();
  return "option " + option.name() +
         (has_value ? " takes no value" : " needs a value");
}

// libfuse splits at commas; a backslash keeps the next character.
std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == ',' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

void take_option_string(const std::string& text, MountOptions& options) {
  for (const std::string& part : split(text)) {
    const Option option = parse(part);
    if (take_own(option, options) || is_ignored(option)) continue;
    if (contains(kPassedOn, option.key)) {
      options.passed_on.push_back(option.kernel_text());
    } else if (!options.sloppy) {
      throw UsageError(complaint(option));
    }
  }
}

std::vector<std::string> session_options(const MountOptions& options,
                                         const std::string& default_fsname,
                                         bool is_root) {
  std::vector<std::string> list;
  list.push_back("fsname=" + escaped(options.fsname.value_or(default_fsname)));
  list.push_back("subtype=snapfs");
  // The kernel checks the modes of the files, whoever mounts.
  list.push_back("default_permissions");
  if (options.allow_other || is_root) list.push_back("allow_other");
  list.push_back(options.read_only ? "ro" : "rw");
  if (options.debug) list.push_back("debug");
  for (const std::string& option : options.passed_on)
    list.push_back(escaped(option));
  return list;
}

}  // namespace snapfs

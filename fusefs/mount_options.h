// SPDX-License-Identifier: MIT
//
// What a mount is asked to be, as plain values, and the -o strings that say so.
// No libfuse in here. Stateless functions.
#pragma once

#include <sys/types.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace snapfs {

// A wrong command line; what() is one line for the user. Exit status 1.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct MountOptions {
  std::string spec;         // as the user wrote it
  std::string mount_point;  // as the user wrote it
  bool foreground = false;
  bool debug = false;    // libfuse prints every request; implies foreground
  bool fake = false;     // check everything, mount nothing
  bool sloppy = false;   // unknown -o options are ignored
  bool verbose = false;  // say what was mounted
  bool read_only = false;
  bool save = false;  // keep the tables in SPEC
  // Number of a process or path of a namespace file to mount in.
  std::optional<std::string> mount_namespace;
  std::optional<uid_t> uid;  // owner of the tree; default: who mounts
  std::optional<gid_t> gid;
  std::optional<std::string> fsname;  // default: the path of SPEC
  bool allow_other = false;           // set for root in any case
  unsigned max_threads = 32;
  bool clone_fd = false;
  // Options that go to the kernel or to fusermount3 as they are.
  std::vector<std::string> passed_on;
};

// Takes the argument of one -o: "key,key=value,...". A comma inside double
// quotes or behind a backslash belongs to the value. Later options win.
// Throws UsageError naming an option that is unknown (unless
// `options.sloppy`) or has a bad value.
void take_option_string(const std::string& text, MountOptions& options);

// What fuse_session_new() is to be told, each one argument of a -o, escaped as
// libfuse wants it.
std::vector<std::string> session_options(const MountOptions& options,
                                         const std::string& default_fsname,
                                         bool is_root);

}  // namespace snapfs

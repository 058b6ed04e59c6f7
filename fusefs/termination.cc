// SPDX-License-Identifier: MIT
#include "fusefs/termination.h"

#include <csignal>
#include <cstring>

#include "fusefs/log.h"

namespace snapfs {
namespace {

std::string name_of(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name ? std::string("SIG") + name : std::to_string(signal);
}

}  // namespace

void Termination::asked(int signal) {
  // The kernel knows first whether a file is open: it closes at once, and tells
  // the file system afterwards.
  if (actions_.unmount()) {
    log_message(Severity::notice, name_of(signal) + ": unmounted");
    return;
  }
  if (asked_before_) {
    log_message(Severity::warning,
                name_of(signal) + " again: ending the mount, in use or not");
    actions_.flush();
    actions_.end();
    return;
  }
  asked_before_ = true;
  const std::vector<std::string> open = actions_.open_devices();
  actions_.flush();
  log_message(Severity::warning,
              name_of(signal) +
                  ": everything is written, but the mount is in use; serving "
                  "on until it is not, or until the next signal");
  actions_.name_users(open);
}

}  // namespace snapfs

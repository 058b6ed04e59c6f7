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

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

}  // namespace

void Termination::asked(int signal) {
  const std::vector<std::string> open = actions_.open_devices();
  if (open.empty() && actions_.unmount()) {
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
  keep_serving(signal, open);
}

void Termination::keep_serving(int signal,
                               const std::vector<std::string>& open) {
  actions_.flush();
  log_message(Severity::warning,
              name_of(signal) +
                  ": everything is written, but the mount is in use; serving "
                  "on until it is not, or until the next signal");
  if (!open.empty())
    log_message(Severity::warning, "open devices: " + join(open));
  for (const std::string& line : actions_.holders(open))
    log_message(Severity::warning, line);
}

}  // namespace snapfs

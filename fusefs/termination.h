// SPDX-License-Identifier: MIT
//
// What SIGTERM and SIGINT do. If nothing uses the mount: unmount. If something
// does (a loop device, a file system mounted on it): make everything durable,
// name the users in the log and go on serving. The next signal ends the mount
// whatever is open. Called by one thread, the signal thread.
//
//   asked before   mount     then
//   no             free      unmounted
//   no             in use    flushed, logged, serving
//   yes            free      unmounted
//   yes            in use    ended
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace snapfs {

class Termination {
 public:
  struct Actions {
    // Names of the devices whose files are open.
    std::function<std::vector<std::string>()> open_devices;
    // Tells the administrator who uses these devices, or, if there are none,
    // who uses the mount.
    std::function<void(const std::vector<std::string>&)> name_users;
    std::function<void()> flush;
    // False: the mount is in use, or cannot be unmounted.
    std::function<bool()> unmount;
    std::function<void()> end;
  };

  explicit Termination(Actions actions) : actions_(std::move(actions)) {}

  // `signal`: which one asked, for the log.
  void asked(int signal);

 private:
  const Actions actions_;
  bool asked_before_ = false;
};

}  // namespace snapfs

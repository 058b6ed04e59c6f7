// SPDX-License-Identifier: MIT
//
// Going to the background without leaving the caller in doubt: the child does
// the work and the parent waits for its word, so the parent's exit status is
// the result. Used once, before the first thread.
#pragma once

#include <optional>

#include "core/unique_fd.h"

namespace snapfs {

class Background {
 public:
  // Forks. In the parent: waits until the child calls ready() or ends, and
  // returns the exit status that says so. In the child: closes what it has
  // inherited besides the standard streams and returns nothing.
  // Throws std::system_error if there can be no child.
  std::optional<int> detach();

  // In the child: leaves the terminal, the working directory and the standard
  // streams behind, then lets the parent return 0. False if the parent is gone:
  // nobody has learned of the success, and it must be undone. Without detach():
  // does nothing and returns true.
  bool ready();

 private:
  UniqueFd report_;
};

}  // namespace snapfs

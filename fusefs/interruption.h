// SPDX-License-Identifier: MIT
//
// Ctrl-C for commands that must tidy up: the signal is noted, and taken where
// the command can end. One per process.
#pragma once

#include <stdexcept>

namespace snapfs {

class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};

// From here on SIGINT, SIGTERM, SIGHUP and SIGPIPE end nothing; they cut a
// system call short that waits.
void note_interruptions();

// Throws Interrupted if one of the first three has come.
void end_if_interrupted();

}  // namespace snapfs

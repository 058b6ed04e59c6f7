// SPDX-License-Identifier: MIT
#include "fusefs/interruption.h"

#include <csignal>

namespace snapfs {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void note(int) { interrupted = 1; }

}  // namespace

void note_interruptions() {
  struct sigaction action {};
  action.sa_handler = note;
  for (int signal : {SIGINT, SIGTERM, SIGHUP})
    ::sigaction(signal, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

void end_if_interrupted() {
  if (interrupted != 0) throw Interrupted();
}

}  // namespace snapfs

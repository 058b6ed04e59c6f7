// SPDX-License-Identifier: MIT
//
// Writes whose acknowledgement is kept outside of what is written to, and the
// check, after a crash, that all of them are there. Used by one thread.
#pragma once

#include <string>
#include <vector>

namespace snapfs::test {

// DIR FILE BLOCKS ORIGIN NAME...: stamps blocks of 4 KiB, one after another, in
// whichever snapshot NAME of the mount DIR can be written, and in ORIGIN, syncs
// each, and adds it to the records in FILE. Ends when the mount is dead.
void record_command(const std::vector<std::string>& args);

// SNAPSHOT ORIGIN FILE: do both hold what FILE says?
void check_records_command(const std::vector<std::string>& args);

// PID MICROSECONDS FILE TEXT: writes TEXT to FILE, as a shell does it, and
// kills the process so long after the beginning of that.
void kill_while_writing_command(const std::vector<std::string>& args);

}  // namespace snapfs::test

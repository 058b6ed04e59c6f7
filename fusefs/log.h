// SPDX-License-Identifier: MIT
//
// Where the process speaks: stderr until it goes to the background, syslog
// (the journal) afterwards. One per process, as syslog(3) itself. Thread-safe.
#pragma once

#include <string>

namespace snapfs {

// Most severe first.
enum class Severity { error, warning, notice, info, debug };

// The name that stands before each line on stderr. `name` is kept.
void set_log_name(const char* name);

// What is less severe than this is not worth a line on stderr; info to begin
// with. Syslog gets everything and can be told by its own configuration.
void set_log_threshold(Severity least);

// From here on everything goes to syslog, facility daemon, tagged "snapfs".
void log_to_syslog();

// `text` may have several lines; each becomes a line of the log.
void log_message(Severity severity, const std::string& text);

// An error whose text names its own place ("FILE:LINE:COLUMN: ..."): on stderr
// it stands without the program's name, so that editors can jump to it.
void log_placed_error(const std::string& text);

// libfuse's own messages go to this log as well, and no thread of libfuse's can
// leave stderr locked; every Session sees to that.
void take_libfuse_log();

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/log.h"

#include <pthread.h>
#include <stdio_ext.h>
#include <syslog.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <functional>

#include "fusefs/fuse.h"

namespace snapfs {
namespace {

std::atomic<bool> use_syslog{false};
std::atomic<const char*> program_name{"snapfs"};
std::atomic<Severity> threshold{Severity::info};

int syslog_priority(Severity severity) {
  switch (severity) {
    case Severity::error:
      return LOG_ERR;
    case Severity::warning:
      return LOG_WARNING;
    case Severity::notice:
      return LOG_NOTICE;
    case Severity::info:
      return LOG_INFO;
    case Severity::debug:
      return LOG_DEBUG;
  }
  return LOG_ERR;
}

void for_each_line(const std::string& text,
                   const std::function<void(const std::string&)>& take) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    if (end > begin) take(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

// One call a line, so that lines of two threads do not mix; past stdio, of
// which take_libfuse_log() takes the lock away.
void write_to_stderr(const std::string& line) {
  const char* rest = line.data();
  std::size_t left = line.size();
  while (left != 0) {
    const ssize_t count = ::write(STDERR_FILENO, rest, left);
    if (count < 0 && errno != EINTR) return;  // nobody to tell
    if (count < 0) continue;
    rest += count;
    left -= static_cast<std::size_t>(count);
  }
}

void log_lines(Severity severity, const std::string& prefix,
               const std::string& text) {
  for_each_line(text, [&](const std::string& line) {
    if (use_syslog.load(std::memory_order_relaxed)) {
      ::syslog(syslog_priority(severity), "%s", line.c_str());
    } else if (severity <= threshold.load(std::memory_order_relaxed)) {
      write_to_stderr(prefix + line + "\n");
    }
  });
}

Severity severity_of(fuse_log_level level) {
  switch (level) {
    case FUSE_LOG_EMERG:
    case FUSE_LOG_ALERT:
    case FUSE_LOG_CRIT:
    case FUSE_LOG_ERR:
      return Severity::error;
    case FUSE_LOG_WARNING:
      return Severity::warning;
    case FUSE_LOG_NOTICE:
      return Severity::notice;
    case FUSE_LOG_INFO:
      return Severity::info;
    case FUSE_LOG_DEBUG:
      return Severity::debug;
  }
  return Severity::error;
}

// libfuse ends its threads by cancelling them: here they speak to the end.
__attribute__((format(printf, 2, 0))) void log_from_libfuse(
    fuse_log_level level, const char* format, va_list arguments) {
  int state = 0;
  ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
  char line[1024];
  std::vsnprintf(line, sizeof line, format, arguments);
  log_message(severity_of(level), line);
  ::pthread_setcancelstate(state, nullptr);
}

}  // namespace

void set_log_name(const char* name) { program_name = name; }

void set_log_threshold(Severity least) { threshold = least; }

void log_to_syslog() {
  ::openlog("snapfs", LOG_PID | LOG_NDELAY, LOG_DAEMON);
  use_syslog = true;
}

void log_message(Severity severity, const std::string& text) {
  log_lines(severity, std::string(program_name.load()) + ": ", text);
}

void log_placed_error(const std::string& text) {
  log_lines(Severity::error, "", text);
}

void take_libfuse_log() {
  fuse_set_log_func(log_from_libfuse);
  // When it cannot read a request libfuse calls perror(3) instead, in a thread
  // that may be cancelled while it prints. glibc leaves stderr locked then, and
  // whoever wants to print or to exit after that waits for ever.
  ::__fsetlocking(stderr, FSETLOCKING_BYCALLER);
}

}  // namespace snapfs

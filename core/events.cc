// SPDX-License-Identifier: MIT
#include "core/events.h"

namespace snapfs {

const char* to_string(EventKind kind) {
  switch (kind) {
    case EventKind::load:
      return "load";
    case EventKind::wait:
      return "wait";
    case EventKind::clear:
      return "clear";
    case EventKind::freeze:
      return "freeze";
    case EventKind::handover:
      return "handover";
    case EventKind::resume:
      return "resume";
    case EventKind::refuse:
      return "refuse";
    case EventKind::remove:
      return "remove";
    case EventKind::merge:
      return "merge";
    case EventKind::merge_failed:
      return "merge-failed";
    case EventKind::revert:
      return "revert";
    case EventKind::revert_failed:
      return "revert-failed";
    case EventKind::invalid:
      return "invalid";
    case EventKind::overflow:
      return "overflow";
    case EventKind::usage:
      return "usage";
    case EventKind::full:
      return "full";
    case EventKind::grow:
      return "grow";
    case EventKind::error:
      return "error";
  }
  return "unknown";
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// Requests that load, remove, suspend or resume devices. They wait for each
// other and for device I/O, which may need requests of this very mount to be
// answered: so they never hold a thread that takes requests, but are carried
// out one after another by a thread of their own. Thread-safe.
#pragma once

#include <functional>

#include "fusefs/reply.h"

namespace snapfs {

struct TreeContext;

// Hands `reply` to `body` in the control thread; what that throws is the
// answer. Throws device_gone if the mount is ending.
void run_control(TreeContext& context, Reply& reply,
                 std::function<void(Reply&)> body);

}  // namespace snapfs

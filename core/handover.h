// SPDX-License-Identifier: MIT
//
// The handover of an exception store: the one step in which a COW changes
// hands. It moves the table in memory, the store, validity and overflow; no
// byte is read or written, and the cost does not depend on the number of
// exceptions.
#pragma once

#include <memory>

#include "core/cow_exceptions.h"
#include "core/snapshot.h"

namespace snapfs {

// `source` answers EIO from now on, `target` goes on with its content, and with
// the length, features and store type of its own table.
// REQUIRES: source has a store, target has none; the gates of both devices and
// of the family are closed and drained.
void hand_over(Snapshot& source, Snapshot& target,
               CowExceptions::Owner owner) noexcept;

// The same for a target that is no snapshot: `source` gives its store up.
std::unique_ptr<CowExceptions> give_up_store(
    Snapshot& source, CowExceptions::Owner owner) noexcept;

}  // namespace snapfs

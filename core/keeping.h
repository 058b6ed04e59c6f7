// SPDX-License-Identifier: MIT
//
// A change of the tables, as the keeper sees it: what they are going to be is
// kept before the change begins, and what they were if it does not come about.
// Used by one thread, under the set's load mutex.
#pragma once

#include "core/events.h"
#include "core/table_keeper.h"

namespace snapfs {

class Keeping {
 public:
  enum class Old { stays, goes };

  // Throws what the keeper throws. `keeper` may be null: nobody keeps anything.
  // `old`: what becomes of tables that are not among those `after` it.
  Keeping(TableKeeper* keeper, EventSink& events, KeptDevices before,
          const KeptDevices& after, Old old = Old::stays);
  // Takes it back, unless done() was called; an error becomes an event.
  ~Keeping();
  Keeping(const Keeping&) = delete;
  Keeping& operator=(const Keeping&) = delete;

  // The change was made, and these are the tables now. What they have replaced
  // goes; that it could not go is an event.
  void done(const KeptDevices& now) noexcept;

 private:
  void keep(const KeptDevices& devices, const char* otherwise) noexcept;

  TableKeeper* const keeper_;
  EventSink& events_;
  const KeptDevices before_;
  bool is_done_ = false;
};

}  // namespace snapfs

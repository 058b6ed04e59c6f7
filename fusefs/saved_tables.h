// SPDX-License-Identifier: MIT
//
// What a SPEC means in which a daemon has kept its tables: the point at which
// it ended may have been anywhere in a handover. Stateless.
#pragma once

#include <string>
#include <vector>

#include "config/table_reader.h"
#include "core/device_opener.h"
#include "core/events.h"

namespace snapfs {

// Takes out of `spec` what has been replaced already, so that each store has
// one live table: a table whose store another one took over (which says
// `handover_from`, and names the same COW device), and a waiting one that is
// live under its name. Tells of each. Throws TableError.
void drop_replaced(Spec& spec, DeviceOpener& opener, EventSink& events);

// The tables that wait, as they are to be loaded: those together that were
// loaded together.
std::vector<std::vector<Table>> waiting_groups(const Spec& spec);

}  // namespace snapfs

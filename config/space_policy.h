// SPDX-License-Identifier: MIT
//
// The keys `when_full` and `thresholds`. Stateless.
#pragma once

#include "config/field.h"
#include "core/table.h"

namespace snapfs {

// `when_full: {grow: {step: 1GiB, max: 20GiB}, wait: 10min, refuse: origin}`
WhenFull read_when_full(const Field& field);

// `thresholds: [80, 95]`, ascending. An empty list: none.
std::vector<unsigned> read_thresholds(const Field& field);

}  // namespace snapfs

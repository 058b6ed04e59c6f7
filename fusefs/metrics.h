// SPDX-License-Identifier: MIT
//
// The numbers of devices: one by one for their status files, and all of them
// for .control/metrics, in the text format of Prometheus. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/device.h"

namespace snapfs {

// Those of its live target, and of the device itself. Devices that run the same
// target have the same keys.
std::vector<Measure> measures_of(Device& device);

// One gauge for each key, "snapfs_KEY{device="NAME"} VALUE", and
// "snapfs_state{device="NAME",target="TARGET",state="STATE"} 1".
std::string metrics_text(const std::vector<std::shared_ptr<Device>>& devices);

}  // namespace snapfs

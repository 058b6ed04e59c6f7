// SPDX-License-Identifier: MIT
#include "core/block_device.h"

#include "core/error.h"

namespace snapfs {

void BlockDevice::grow(uint64_t) {
  throw std::system_error(Errc::unsupported, name() + " cannot be extended");
}

}  // namespace snapfs

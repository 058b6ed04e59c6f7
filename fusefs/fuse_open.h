// SPDX-License-Identifier: MIT
//
// The answer to OPEN, with the flags that libfuse 3.14 has no bit for. Its
// struct is written as the kernel's header has it and sent as plain data, which
// is all that fuse_reply_open() does as well. Stateless.
#pragma once

#include <cstdint>

#include "fusefs/fuse.h"

namespace snapfs {

// Values of the FUSE protocol (linux/fuse.h: FOPEN_...).
inline constexpr uint32_t kOpenDirectIo = 1U << 0;
inline constexpr uint32_t kOpenKeepCache = 1U << 1;
inline constexpr uint32_t kOpenParallelDirectWrites = 1U << 6;

// 0, or -errno as fuse_reply_open().
int reply_open(fuse_req_t request, uint64_t handle, uint32_t flags) noexcept;

}  // namespace snapfs

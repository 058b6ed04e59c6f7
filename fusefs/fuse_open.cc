// SPDX-License-Identifier: MIT
#include "fusefs/fuse_open.h"

#include <linux/fuse.h>

namespace snapfs {

static_assert(kOpenDirectIo == FOPEN_DIRECT_IO);
static_assert(kOpenKeepCache == FOPEN_KEEP_CACHE);
#ifdef FOPEN_PARALLEL_DIRECT_WRITES
static_assert(kOpenParallelDirectWrites == FOPEN_PARALLEL_DIRECT_WRITES);
#endif

int reply_open(fuse_req_t request, uint64_t handle, uint32_t flags) noexcept {
  fuse_open_out out{};
  out.fh = handle;
  out.open_flags = flags;
  return fuse_reply_buf(request, reinterpret_cast<const char*>(&out),
                        sizeof(out));
}

}  // namespace snapfs

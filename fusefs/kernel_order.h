// SPDX-License-Identifier: MIT
//
// What the kernel orders and sanitizers cannot see: an answer comes before the
// requests that follow from it, so whatever was done before the one is visible
// to who serves the others. Costs nothing without ThreadSanitizer.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SNAPFS_THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SNAPFS_THREAD_SANITIZER 1
#endif

#if defined(SNAPFS_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

namespace snapfs {

#if defined(SNAPFS_THREAD_SANITIZER)

inline char kernel_order = 0;
inline void before_answer() { __tsan_release(&kernel_order); }
inline void after_request() { __tsan_acquire(&kernel_order); }

#else

inline void before_answer() {}
inline void after_request() {}

#endif

}  // namespace snapfs

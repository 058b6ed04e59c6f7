// SPDX-License-Identifier: MIT
#include "fusefs/privileges.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace snapfs {
namespace {

constexpr int kWords = _LINUX_CAPABILITY_U32S_3;

__user_cap_header_struct own_header() {
  return {_LINUX_CAPABILITY_VERSION_3, 0};
}

bool get(__user_cap_data_struct (&sets)[kWords]) noexcept {
  __user_cap_header_struct header = own_header();
  return ::syscall(SYS_capget, &header, sets) == 0;
}

bool set(const __user_cap_data_struct (&sets)[kWords]) noexcept {
  __user_cap_header_struct header = own_header();
  return ::syscall(SYS_capset, &header, sets) == 0;
}

// Up to the last one that this kernel knows.
bool bound(Capabilities kept) noexcept {
  for (unsigned number = 0; number < 64; ++number) {
    const int has = ::prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (has < 0) break;
    if (has == 0 || (kept & capability(number)) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) return false;
  }
  return true;
}

}  // namespace

bool keep_capabilities(Capabilities kept) noexcept {
  __user_cap_data_struct sets[kWords] = {};
  if (!get(sets)) return false;
  // Ordinary users need fusermount3, which is set-user-ID root.
  if (::geteuid() == 0) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    const bool may_bound = (sets[CAP_TO_INDEX(CAP_SETPCAP)].effective &
                            CAP_TO_MASK(CAP_SETPCAP)) != 0;
    if (may_bound && !bound(kept)) return false;
  }
  for (int word = 0; word < kWords; ++word) {
    const auto mask = static_cast<uint32_t>(kept >> (32 * word));
    sets[word].permitted &= mask;
    sets[word].effective = sets[word].permitted;
    sets[word].inheritable = 0;
  }
  // Ambient ones go with the inheritable.
  return set(sets);
}

}  // namespace snapfs

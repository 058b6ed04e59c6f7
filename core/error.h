// SPDX-License-Identifier: MIT
//
// How errors travel. An error that ends a request is thrown as
// std::system_error; its code's default condition is the errno that the user
// sees. Outcomes that a protocol handles (store full, nothing to do) are return
// values, never errors. FUSE turns what is left into an errno in one place.
#pragma once

#include <string>
#include <system_error>

namespace snapfs {

// Errors of snapfs's own. The errno of each is in error.cc, in one table.
enum class Errc {
  snapshot_invalid = 1,  // the snapshot has lost its content: EIO
  snapshot_overflowed,   // PO store was full: writes fail, reads work: EIO
  store_full,            // this write found no room in the store: EIO
  cow_shrunk,            // shorter than what the store uses of it: EIO
  handed_over,           // the store belongs to another table now: EIO
  device_gone,           // removed, or the mount is ending: EIO
  bad_metadata,          // what is on the COW makes no sense: EINVAL
  not_a_store,           // no SnAp magic on the COW: ENXIO
  bad_table,             // the table asks for something impossible: EINVAL
  busy,                  // in use: EBUSY
  stale_store,           // the origin went on without this store: ESTALE
  unsupported,           // EOPNOTSUPP
  beyond_end,            // write past the end of a device: ENOSPC
  read_only,             // EROFS
  no_such_device,        // ENOENT
};

const std::error_category& error_category();
std::error_code make_error_code(Errc code);

// Throws std::system_error(errno) with "WHAT SUBJECT: strerror".
[[noreturn]] void throw_errno(const std::string& what,
                              const std::string& subject);
[[noreturn]] void throw_errno(int error, const std::string& what,
                              const std::string& subject);

// The errno for any error: that of a std::system_error, ENOMEM for bad_alloc,
// EIO for what is unknown.
int errno_of(const std::exception& error);

}  // namespace snapfs

template <>
struct std::is_error_code_enum<snapfs::Errc> : std::true_type {};

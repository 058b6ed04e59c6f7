// SPDX-License-Identifier: MIT
//
// Makes and unmakes the plain file of a new COW.
#pragma once

#include <cstdint>
#include <string>

#include "core/unique_fd.h"
#include "fusefs/own_mount.h"

namespace snapfs {

// Makes a sparse file of so many bytes, readable and writable by its owner
// alone, where `where` says that nothing is, and returns it, open to read and
// write. Its name is durable then. Throws Refusal, and then has left nothing
// behind. `path` stands in messages. REQUIRES: where.outcome is missing.
UniqueFd make_sparse_file(const PathTarget& where, const std::string& path,
                          uint64_t bytes);

// Deletes the name in `where` if it is still this very inode. Does not throw.
void unlink_if_same(const PathTarget& where, dev_t device,
                    ino_t inode) noexcept;

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What both views of a snapshot are after a part of a list of operations
// (tests/support/disk_ops.h, on standard input), when what they were before is
// in files. Lines are counted from 1; line N writes stamps of generation N.
#pragma once

#include <string>
#include <vector>

namespace snapfs::test {

// CHUNK_SECTORS COW SNAP ORIGIN FROM TO: carries the lines FROM to TO out on
// the files SNAP and ORIGIN, as the kernel does it with discard_zeroes_cow: a
// discard zeroes the chunks that have an exception, in COW, which is the device
// as it was before (`-`: none has), or by one of these lines; and no other
// chunk.
void kernel_views_command(const std::vector<std::string>& args);

// BEFORE AFTER snap|origin FROM DURABLE TO: was the device BEFORE, and is it
// AFTER now, when somebody was killed while he carried out the lines FROM to
// TO, which have no discards? The lines to DURABLE are there; of each later one
// any sectors.
void check_crash_command(const std::vector<std::string>& args);

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Recognises what is stored on a device, by libblkid.
#pragma once

#include <string>

namespace snapfs {

// What is on the device or file, in words: "an ext4 filesystem (label
// \"root\")", "a gpt partition table". Empty if nothing is recognised, or only
// an exception store of dm-snapshot. Reads only. Throws std::system_error
// where it cannot be read; `name` stands in messages.
std::string probe_content(int fd, const std::string& name);

}  // namespace snapfs

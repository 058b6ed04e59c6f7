// SPDX-License-Identifier: MIT
//
// Reads dumps of stores, in either form. One thread.
#pragma once

#include <cstdint>
#include <string>

#include "core/store_scan.h"
#include "fusefs/store_dump.h"

namespace snapfs {

// A dump in a file, read anew at each pass, so that its size does not matter.
// What is not as write_dump() makes it is a std::runtime_error with file and
// line, as far as that is known.
class DumpFile {
 public:
  // Reads all of it once.
  explicit DumpFile(std::string path);

  const DumpHead& head() const { return head_; }
  StoreLayout layout() const;
  uint64_t records() const { return records_; }

  // The records, then what is behind the end of the log; either may be empty.
  LogEnd read(const RecordSink& record, const RecordSink& behind) const;

 private:
  const std::string path_;
  DumpHead head_;
  uint64_t records_ = 0;
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// Takes the text of a table, or says in words why not: in the errors file, as
// an event, and as an errno. Externally synchronised.
#pragma once

#include <string>

#include "core/device_set.h"
#include "fusefs/event_log.h"

namespace snapfs {

class TableLoader {
 public:
  // `base_dir`: what relative paths in tables are relative to.
  TableLoader(DeviceSet& devices, EventLog& events, std::string base_dir)
      : devices_(devices), events_(events), base_dir_(std::move(base_dir)) {}

  // Loads what `text`, written to tables/NAME.yaml, asks for. 0, or the errno
  // of a refusal, which has been reported.
  int load(const std::string& name, const std::string& text);

  // Reports that the text for `name` is not taken. Returns EBADMSG.
  int refuse(const std::string& name, const std::string& reason);

  // An error in a text that may go on: an errno if nothing that is appended
  // could mend it, else 0. Reports nothing: the text will be tried when it is
  // complete.
  static int check(const std::string& name, const std::string& text,
                   const std::string& base_dir);

 private:
  DeviceSet& devices_;
  EventLog& events_;
  const std::string base_dir_;
};

// Where a user finds the table of a device: "tables/NAME.yaml".
std::string table_file(const std::string& name);

}  // namespace snapfs

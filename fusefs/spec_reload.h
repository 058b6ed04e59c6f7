// SPDX-License-Identifier: MIT
//
// Reads the SPEC of a mount again and applies what has changed in it since it
// was read, or saved, last: new and changed tables are loaded, file by file, as
// if they were written to the control files, and then what has vanished is
// removed. Externally synchronised.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/table_reader.h"
#include "core/device_opener.h"
#include "core/device_set.h"
#include "fusefs/event_log.h"
#include "fusefs/spec_writer.h"

namespace snapfs {

// What came of it, in lines for the user. Errors have been put in the errors
// file, too.
struct ReloadReport {
  std::vector<std::string> done;
  std::vector<std::string> errors;
  int error = 0;  // an errno, of the first of the errors
};

class SpecReload {
 public:
  // `spec`: what has been loaded. `path`: of SPEC, absolute.
  SpecReload(DeviceSet& devices, DeviceOpener& opener, EventLog& events,
             const Spec& spec);

  // Who keeps the tables in SPEC; null: nobody.
  void set_writer(SpecWriter* writer) { writer_ = writer; }

  // `before_removal` is called with the name of each device that is about to be
  // removed.
  ReloadReport run(
      const std::function<void(const std::string&)>& before_removal);

 private:
  using Key = std::pair<std::string, bool>;  // name, waits
  using Texts = std::map<Key, std::string>;

  void apply(Spec spec, ReloadReport& report,
             const std::function<void(const std::string&)>& before_removal);
  Texts known() const;
  bool is_news(const Table& table, const Texts& known) const;
  void load(const std::vector<Table>& tables, ReloadReport& report);
  void remove(const Key& key, const std::string& text, ReloadReport& report,
              const std::function<void(const std::string&)>& before_removal);
  void note_error(const std::string& name, const std::string& text,
                  const std::string& reason, int error, ReloadReport& report);

  DeviceSet& devices_;
  DeviceOpener& opener_;
  EventLog& events_;
  const std::string path_;
  SpecWriter* writer_ = nullptr;
  Texts last_;  // what was taken of SPEC
};

}  // namespace snapfs

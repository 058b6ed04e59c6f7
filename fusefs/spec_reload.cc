// SPDX-License-Identifier: MIT
#include "fusefs/spec_reload.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>
#include <variant>

#include "config/table_notes.h"
#include "config/table_writer.h"
#include "core/error.h"
#include "fusefs/saved_tables.h"

namespace snapfs {
namespace {

bool has_origin(const std::vector<Table>& tables) {
  return std::any_of(tables.begin(), tables.end(), [](const Table& table) {
    return std::holds_alternative<OriginTable>(table.target);
  });
}

// "live, next: waiting for a"
std::string state_of(const DeviceSet& devices, const std::string& name) {
  const std::shared_ptr<Device> device = devices.find(name);
  if (device == nullptr) return "gone";
  std::string text = device->state_text();
  text.pop_back();
  if (const std::size_t line = text.find('\n'); line != std::string::npos)
    text.replace(line, 1, ", ");
  return text;
}

}  // namespace

SpecReload::SpecReload(DeviceSet& devices, DeviceOpener& opener,
                       EventLog& events, const Spec& spec)
    : devices_(devices), opener_(opener), events_(events), path_(spec.path) {
  for (const auto* tables : {&spec.tables, &spec.waiting})
    for (const Table& table : *tables)
      last_[{table.name, table.waits}] = table.text;
}

ReloadReport SpecReload::run(
    const std::function<void(const std::string&)>& before_removal) {
  ReloadReport report;
  try {
    apply(read_spec(path_), report, before_removal);
  } catch (const TableError& error) {
    note_error("", error.what(), error.message(), error.error(), report);
  } catch (const std::exception& error) {
    note_error("", path_ + ": " + error.what(), error.what(), errno_of(error),
               report);
  }
  events_.on_event(
      {report.errors.empty() ? EventKind::load : EventKind::refuse, "",
       "SPEC was read again: " + std::to_string(report.done.size()) +
           " changes, " + std::to_string(report.errors.size()) + " refused"});
  return report;
}

void SpecReload::apply(
    Spec spec, ReloadReport& report,
    const std::function<void(const std::string&)>& before_removal) {
  drop_replaced(spec, opener_, events_);
  const Texts before = known();
  if (writer_ != nullptr) writer_->refresh(spec);

  // The tables of one file are loaded together, origins first.
  std::vector<std::vector<Table>> loads;
  std::map<std::string, std::size_t> load_of_file;
  Texts now;
  for (const Table& table : spec.tables) {
    now[{table.name, false}] = table.text;
    if (!is_news(table, before)) continue;
    auto [at, is_new] =
        load_of_file.emplace(table.place.file, load_of_file.size());
    if (is_new) loads.emplace_back();
    loads[at->second].push_back(table);
  }
  std::stable_partition(loads.begin(), loads.end(), has_origin);
  for (std::vector<Table>& group : waiting_groups(spec)) {
    for (const Table& table : group) now[{table.name, true}] = table.text;
    std::erase_if(group,
                  [&](const Table& table) { return !is_news(table, before); });
    if (!group.empty()) loads.push_back(std::move(group));
  }
  for (const std::vector<Table>& tables : loads) load(tables, report);

  // Those who name an origin go before it.
  std::vector<std::pair<Key, std::string>> vanished;
  for (const auto& [key, text] : before)
    if (!now.contains(key)) vanished.emplace_back(key, text);
  std::stable_partition(
      vanished.begin(), vanished.end(), [&](const auto& each) {
        const auto device = devices_.find(each.first.first);
        const auto table = device ? device->live_table() : nullptr;
        return table == nullptr ||
               !std::holds_alternative<OriginTable>(table->target);
      });
  for (const auto& [key, text] : vanished)
    remove(key, text, report, before_removal);
}

// Where SPEC is what has been saved, that is what is live.
SpecReload::Texts SpecReload::known() const {
  if (writer_ == nullptr) return last_;
  Texts texts;
  for (const auto& [name, device] : writer_->kept()) {
    if (device.live != nullptr) texts[{name, false}] = text_of(*device.live);
    if (device.next != nullptr) texts[{name, true}] = device.next->text;
  }
  return texts;
}

bool SpecReload::is_news(const Table& table, const Texts& known) const {
  if (devices_.has_outgrown_table(table.name)) return true;
  auto before = known.find({table.name, table.waits});
  if (before != known.end() && same_table(before->second, table.text))
    return false;
  const std::shared_ptr<Device> device = devices_.find(table.name);
  if (device == nullptr) return true;
  std::shared_ptr<const Table> newest = device->next_table();
  if (newest == nullptr) newest = device->live_table();
  return newest == nullptr || !same_table(text_of(*newest), table.text);
}

void SpecReload::load(const std::vector<Table>& tables, ReloadReport& report) {
  std::string names;
  for (const Table& table : tables)
    names += (names.empty() ? "" : ", ") + table.name;
  try {
    devices_.load(tables);
  } catch (const TableError& error) {
    return note_error(names, error.what(), error.message(), error.error(),
                      report);
  } catch (const std::exception& error) {
    return note_error(names, names + ": " + error.what(), error.what(),
                      errno_of(error), report);
  }
  for (const Table& table : tables) {
    last_[{table.name, table.waits}] = table.text;
    report.done.push_back(table.name +
                          ": loaded: " + state_of(devices_, table.name));
  }
}

// What has got the name from somewhere else since is left alone.
void SpecReload::remove(
    const Key& key, const std::string& text, ReloadReport& report,
    const std::function<void(const std::string&)>& before_removal) {
  const auto& [name, waits] = key;
  const std::shared_ptr<Device> device = devices_.find(name);
  std::shared_ptr<const Table> table;
  if (device != nullptr)
    table = waits ? device->next_table() : device->live_table();
  if (table == nullptr || !same_table(text_of(*table), text)) {
    last_.erase(key);
    return;
  }
  try {
    if (waits) {
      devices_.clear(name);
    } else {
      before_removal(name);
      devices_.remove(name);
    }
  } catch (const std::exception& error) {
    return note_error(name, name + ": not removed: " + error.what(),
                      error.what(), errno_of(error), report);
  }
  last_.erase(key);
  report.done.push_back(name +
                        (waits ? ": the next table was dropped" : ": removed"));
}

void SpecReload::note_error(const std::string& name, const std::string& text,
                            const std::string& reason, int error,
                            ReloadReport& report) {
  events_.add_error(text);
  events_.on_event({EventKind::refuse, name, reason});
  report.errors.push_back(text);
  if (report.error == 0) report.error = error != 0 ? error : EINVAL;
}

}  // namespace snapfs

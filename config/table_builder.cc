// SPDX-License-Identifier: MIT
#include "config/table_builder.h"

#include <algorithm>

#include "config/field.h"
#include "config/messages.h"
#include "config/paths.h"
#include "config/space_policy.h"
#include "config/table_keys.h"
#include "config/table_line.h"
#include "config/table_reader.h"

namespace snapfs {
namespace {

using TargetTable = std::variant<OriginTable, SnapshotTable>;

constexpr char kNameRule[] =
    " is not a device name: [A-Za-z0-9][A-Za-z0-9._+-]{0,126}, and not ending "
    "in .next or .rejected";

// Sets the name, and the table's place to where that is.
void read_name(const MapReader& map, const std::string* default_name,
               Table& table) {
  if (const Field* field = map.find("name")) {
    table.name = field->word().text;
    table.place = field->place();
    if (!is_device_name(table.name))
      fail(table.place, quote(table.name) + kNameRule);
    return;
  }
  if (default_name == nullptr)
    fail(table.place,
         "\"name\" is missing: each of several tables in a file has one");
  table.name = *default_name;
  if (!is_device_name(table.name))
    fail(table.place, "\"name\" is missing, and the file's name, " +
                          quote(table.name) + ',' + kNameRule);
}

FileAttributes read_attributes(const MapReader& map) {
  FileAttributes attributes;
  if (const Field* field = map.find("mode")) attributes.mode = field->mode();
  if (const Field* field = map.find("uid")) attributes.uid = field->id();
  if (const Field* field = map.find("gid")) attributes.gid = field->id();
  return attributes;
}

Activate read_activate(const MapReader& map) {
  static constexpr std::string_view kWords[] = {"on-freeze", "now", "manual"};
  static constexpr Activate kValues[] = {Activate::on_freeze, Activate::now,
                                         Activate::manual};
  const Field* field = map.find("activate");
  return field ? kValues[field->choice(kWords)] : Activate::on_freeze;
}

std::string read_device_name(const Field& field, const Word& word) {
  if (!is_device_name(word.text))
    fail(word.place, quote(field.path()) + ": " + quote(word.text) + kNameRule);
  return word.text;
}

std::string read_path(const Field& field, const std::string& base_dir) {
  return device_path(base_dir, field.line());
}

// What whoever keeps tables has noted beside what the user wrote.
void read_notes(const MapReader& map, const std::string& base_dir,
                Table& table) {
  const Field* waits = map.find("waits");
  table.waits = waits != nullptr && waits->boolean();
  table.was_live = waits != nullptr && !table.waits;
  if (const Field* from = map.find("handover_from")) {
    table.handed_over_from = read_device_name(*from, from->word());
    if (table.handed_over_from == table.name)
      fail(from->place(), "\"handover_from\" is the table's own name");
  }
  if (const Field* with = map.find("handover_with"))
    for (const Word& word : with->words())
      table.group.push_back(read_device_name(*with, word));
  if (const Field* device = map.find("origin_device"))
    std::get<SnapshotTable>(table.target).origin_path =
        read_path(*device, base_dir);
}

// A key that only ever says one thing.
bool has_word(const Field* field, std::string_view word) {
  return field != nullptr && field->choice({&word, 1}) == 0;
}

const Field& require(const MapReader& map, const char* key, TargetType target,
                     const Place& start) {
  if (const Field* field = map.find(key)) return *field;
  fail(start,
       quote(key) + " is missing: target " + to_string(target) + " needs it");
}

// `cow: {path: ..., create: true, size: 10GiB}`
void read_cow_map(const Field& cow, const std::string& base_dir,
                  SnapshotTable& table) {
  MapReader map(cow.value(), "cow.", kCowKeys);
  const Field* path = map.find("path");
  const Field* create = map.find("create");
  const Field* size = map.find("size");
  if (path == nullptr) fail(cow.place(), "\"cow.path\" is missing");
  table.cow.path = read_path(*path, base_dir);
  table.cow_place = path->place();
  table.cow.create = create != nullptr && create->boolean();
  if (table.cow.create && size == nullptr)
    fail(create->place(), "\"cow.size\" is missing: \"cow.create\" needs it");
  if (!table.cow.create && size != nullptr)
    fail(size->key_place(),
         "\"cow.size\" means nothing without \"cow.create\"");
  if (size != nullptr) table.cow.create_bytes = size->bytes();
  table.cow.force_initialise = has_word(map.find("initialise"), "force");
  table.cow.accept_stale = has_word(map.find("stale"), "accept");
}

// A salvage's COW is a path, and no more.
void read_cow(const Field& cow, TargetType type, const std::string& base_dir,
              SnapshotTable& table) {
  if (type == TargetType::salvage && cow.value().kind != YamlNode::Kind::scalar)
    cow.refuse("a path");
  switch (cow.value().kind) {
    case YamlNode::Kind::map:
      return read_cow_map(cow, base_dir, table);
    case YamlNode::Kind::scalar:
      table.cow.path = read_path(cow, base_dir);
      table.cow_place = cow.place();
      return;
    case YamlNode::Kind::null:
    case YamlNode::Kind::list:
      cow.refuse("a path, or a map with a path");
  }
}

OriginTable read_origin(const MapReader& map, const Place& start,
                        const std::string& base_dir) {
  const Field& device = require(map, "device", TargetType::origin, start);
  OriginTable table;
  table.device = read_path(device, base_dir);
  table.device_place = device.place();
  if (const Field* field = map.find("length"))
    table.length_sectors = field->sectors();
  return table;
}

SnapshotTable read_snapshot(const MapReader& map, TargetType type,
                            const Place& start, const std::string& base_dir) {
  const Field& origin = require(map, "origin", type, start);
  const Field& cow = require(map, "cow", type, start);
  SnapshotTable table;
  if (type == TargetType::merge) table.merge.emplace();
  table.origin = origin.line();
  table.origin_path = device_path(base_dir, table.origin);
  table.origin_place = origin.place();
  table.salvage = type == TargetType::salvage;
  read_cow(cow, type, base_dir, table);
  if (const Field* field = map.find("features"))
    set_features(table, field->words(), field->place());
  std::optional<ChunkArgument> chunk;
  if (const Field* field = map.find("chunk_size"))
    chunk = chunk_from_key(field->word());
  const Field* store = map.find("store");
  set_store(table, store ? store->word() : Word{"P", start}, chunk);
  if (const Field* field = map.find("length"))
    table.length_sectors = field->sectors();
  return table;
}

// What goes with a table line as well as with separate keys.
void read_common(const MapReader& map, OriginTable& table) {
  const Field* read_only = map.find("read_only");
  table.read_only = read_only != nullptr && read_only->boolean();
}

void read_flag(const Field* field, std::string_view word, bool& flag) {
  if (field != nullptr && flag)
    fail(field->key_place(), quote(field->path()) + " is given twice");
  flag = flag || has_word(field, word);
}

// Other names of a merging device. Its own one is not known here.
std::vector<std::string> read_names(const Field& field) {
  std::vector<std::string> names;
  for (const Word& word : field.words()) {
    if (!is_device_name(word.text))
      fail(word.place, quote(word.text) + kNameRule);
    if (std::find(names.begin(), names.end(), word.text) != names.end())
      fail(word.place, quote(word.text) + " is given twice");
    names.push_back(word.text);
  }
  return names;
}

void read_merge(const MapReader& map, MergeOptions& merge) {
  if (const Field* field = map.find("merge_rate")) merge.rate = field->bytes();
  if (const Field* field = map.find("also_as")) {
    merge.also_as = read_names(*field);
    merge.also_as_place = field->place();
  }
  if (const Field* field = map.find("force")) merge.force = field->boolean();
}

void read_common(const MapReader& map, SnapshotTable& table) {
  if (table.merge) read_merge(map, *table.merge);
  table.wait_for_merge = has_word(map.find("wait"), "merge");
  const Field* read_only = map.find("read_only");
  table.read_only =
      table.salvage || (read_only != nullptr && read_only->boolean());
  if (const Field* field = map.find("commit_interval"))
    table.commit_interval = field->duration();
  if (const Field* field = map.find("when_full")) {
    table.space.when_full = read_when_full(*field);
    table.when_full_place = field->place();
  }
  if (const Field* field = map.find("thresholds"))
    table.space.thresholds = read_thresholds(*field);
  read_flag(map.find("initialise"), "force", table.cow.force_initialise);
  read_flag(map.find("stale"), "accept", table.cow.accept_stale);
}

TargetTable read_line(const MapReader& map, const Field& line,
                      const std::string& base_dir) {
  for (const Field& field : map.fields())
    if (!goes_with_line(field.path()))
      fail(field.key_place(), quote(field.path()) +
                                  " cannot be given beside \"table\", which "
                                  "says everything about the target");
  if (line.value().kind != YamlNode::Kind::scalar) line.refuse("a table line");
  TargetTable target = parse_table_line(line.value(), base_dir);
  const auto* snapshot = std::get_if<SnapshotTable>(&target);
  check_keys(map, snapshot == nullptr ? TargetType::origin
                  : snapshot->merge   ? TargetType::merge
                                      : TargetType::snapshot);
  return target;
}

TargetTable read_target(const MapReader& map, const Place& start,
                        const std::string& base_dir) {
  if (const Field* line = map.find("table"))
    return read_line(map, *line, base_dir);
  const Field* target = map.find("target");
  if (target == nullptr)
    fail(start,
         "\"target\" is missing: snapshot-origin, snapshot, snapshot-merge "
         "or snapshot-salvage");
  TargetType type = target_type(target->word());
  check_keys(map, type);
  if (type == TargetType::origin) return read_origin(map, start, base_dir);
  return read_snapshot(map, type, start, base_dir);
}

void check_own_name(const Table& table) {
  const auto* snapshot = std::get_if<SnapshotTable>(&table.target);
  if (snapshot == nullptr || !snapshot->merge) return;
  const MergeOptions& merge = *snapshot->merge;
  if (std::find(merge.also_as.begin(), merge.also_as.end(), table.name) !=
      merge.also_as.end())
    fail(merge.also_as_place, quote(table.name) + " is the device's own name");
}

}  // namespace

Table build_table(const YamlNode& root, const std::string& base_dir,
                  const std::string* default_name) {
  if (root.kind != YamlNode::Kind::map)
    fail(root.place, "a table must be a map of keys to values");
  MapReader map(root, "", kTableKeys);
  Table table;
  table.place = root.place;
  read_name(map, default_name, table);
  table.target = read_target(map, root.place, base_dir);
  std::visit([&](auto& target) { read_common(map, target); }, table.target);
  table.attributes = read_attributes(map);
  table.activate = read_activate(map);
  check_own_name(table);
  read_notes(map, base_dir, table);
  return table;
}

}  // namespace snapfs

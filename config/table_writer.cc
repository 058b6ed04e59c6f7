// SPDX-License-Identifier: MIT
#include "config/table_writer.h"

#include <array>
#include <cstdio>

namespace snapfs {
namespace {

std::string octal(uint32_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", mode);
  return text.data();
}

// A document, key by key.
class Writer {
 public:
  Writer(const std::string& name, const std::string& target) {
    add("name", quoted_scalar(name));
    add("target", target);
  }
  void add(const std::string& key, const std::string& value) {
    text_ += key + ": " + value + "\n";
  }
  void add(const FileAttributes& attributes) {
    if (attributes.mode) add("mode", octal(*attributes.mode));
    if (attributes.uid) add("uid", std::to_string(*attributes.uid));
    if (attributes.gid) add("gid", std::to_string(*attributes.gid));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

std::string quoted_scalar(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string origin_text(const Table& table) {
  const auto& origin = std::get<OriginTable>(table.target);
  Writer writer(table.name, "snapshot-origin");
  writer.add("device", quoted_scalar(origin.device));
  if (origin.length_sectors)
    writer.add("length", std::to_string(*origin.length_sectors));
  if (origin.read_only) writer.add("read_only", "true");
  writer.add(table.attributes);
  return writer.text();
}

std::string merge_text(const Table& table) {
  const auto& snapshot = std::get<SnapshotTable>(table.target);
  const MergeOptions& merge = *snapshot.merge;
  Writer writer(table.name, "snapshot-merge");
  writer.add("origin", quoted_scalar(snapshot.origin));
  writer.add("cow", quoted_scalar(snapshot.cow.path));
  if (snapshot.store == StoreType::persistent_overflow)
    writer.add("store", "PO");
  if (merge.rate != 0)
    writer.add("merge_rate", std::to_string(merge.rate) + "B");
  std::string names;
  for (const std::string& name : merge.also_as)
    names += (names.empty() ? "" : ", ") + quoted_scalar(name);
  if (!names.empty()) writer.add("also_as", "[" + names + "]");
  if (merge.force) writer.add("force", "true");
  if (table.activate == Activate::now) writer.add("activate", "now");
  writer.add(table.attributes);
  return writer.text();
}

std::string salvage_text(const Table& table) {
  const auto& snapshot = std::get<SnapshotTable>(table.target);
  Writer writer(table.name, "snapshot-salvage");
  writer.add("origin", quoted_scalar(snapshot.origin));
  writer.add("cow", quoted_scalar(snapshot.cow.path));
  if (snapshot.length_sectors)
    writer.add("length", std::to_string(*snapshot.length_sectors));
  writer.add(table.attributes);
  return writer.text();
}

std::string text_of(const Table& table) {
  return table.text.empty() ? origin_text(table) : table.text;
}

}  // namespace snapfs

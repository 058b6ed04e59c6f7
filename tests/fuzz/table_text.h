// SPDX-License-Identifier: MIT
//
// All that a table says, but for where it was written: two tables that mean the
// same have the same text.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "core/table.h"

namespace snapfs::test {

inline std::string in_words(const std::optional<uint64_t>& number) {
  return number ? std::to_string(*number) : "-";
}

inline std::string in_words(const OriginTable& table) {
  return "origin " + table.device + " " + in_words(table.length_sectors) + " " +
         std::to_string(table.read_only);
}

inline std::string in_words(const WhenFull& when_full) {
  std::string text = "full";
  if (when_full.grow) {
    text += " grow " + std::to_string(when_full.grow->step_bytes) + " " +
            std::to_string(when_full.grow->max_bytes);
  }
  if (when_full.wait) {
    text += " wait " + std::to_string(when_full.wait->count());
  }
  if (when_full.refuse_origin) text += " refuse";
  return text;
}

inline std::string in_words(const MergeOptions& merge) {
  std::string text =
      "merge " + std::to_string(merge.rate) + " " + std::to_string(merge.force);
  for (const std::string& name : merge.also_as) text += " " + name;
  return text;
}

inline std::string in_words(const CowPath& cow) {
  return cow.path + " " + std::to_string(cow.create) + " " +
         std::to_string(cow.create_bytes) + " " +
         std::to_string(cow.force_initialise) + " " +
         std::to_string(cow.accept_stale);
}

inline std::string in_words(const SnapshotTable& table) {
  std::string text =
      "snapshot " + table.origin + " " + table.origin_path + "\n" +
      in_words(table.cow) + "\n" + to_string(table.store) + " " +
      std::to_string(table.chunk_sectors) + " " +
      std::to_string(table.chunk_given) + " " +
      std::to_string(table.discard_zeroes_cow) + " " +
      std::to_string(table.discard_passdown_origin) + " " +
      in_words(table.length_sectors) + " " + std::to_string(table.read_only) +
      " " + std::to_string(table.commit_interval.count()) + " " +
      std::to_string(table.wait_for_merge) + "\n";
  if (table.merge) text += in_words(*table.merge) + "\n";
  text += in_words(table.space.when_full);
  for (unsigned percent : table.space.thresholds) {
    text += " " + std::to_string(percent);
  }
  return text;
}

inline std::string in_words(const Table& table) {
  std::string text = table.name + "\n";
  text += std::to_string(static_cast<int>(table.activate)) + " " +
          std::to_string(table.waits) + " " + std::to_string(table.was_live) +
          " " + table.handed_over_from;
  for (const std::string& name : table.group) text += " " + name;
  text += "\n" + in_words(table.attributes.mode) + " " +
          in_words(table.attributes.uid) + " " +
          in_words(table.attributes.gid) + "\n";
  return text + std::visit([](const auto& target) { return in_words(target); },
                           table.target);
}

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// A key of a map with its value, read as one type or another. Everything that
// does not fit is a TableError that names the key, at the value's place.
// Immutable. A Field refers to the document's nodes and must not outlive them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/snapshot_arguments.h"
#include "config/yaml_node.h"

namespace snapfs {

class Field {
 public:
  // `key`: the node of the key, `path`: how messages call it.
  Field(std::string path, const YamlNode& key, const YamlNode& value)
      : path_(std::move(path)), key_(key), value_(value) {}

  const std::string& path() const { return path_; }
  const Place& key_place() const { return key_.place; }
  const YamlNode& value() const { return value_; }
  // Of the value, or of the key where nothing stands.
  const Place& place() const;

  // A single value, not empty.
  Word word() const;
  // The same on one line, without control characters.
  std::string line() const;
  bool boolean() const;
  // Bare numbers are sectors. From 1 sector to INT64_MAX bytes.
  uint64_t sectors() const;
  // Only with a unit. Whole sectors; the range as above.
  uint64_t bytes() const;
  std::chrono::milliseconds duration() const;
  // How long somebody is waited for, who may have to be fetched.
  std::chrono::milliseconds patience() const;
  unsigned percent() const;  // from 1 to 99
  uint32_t mode() const;     // octal permission bits
  uint32_t id() const;       // a user's or group's number
  // The index of the value in `choices`.
  std::size_t choice(std::span<const std::string_view> choices) const;
  std::vector<Word> words() const;  // of a list

  // Throws TableError "KEY must be EXPECTED, not VALUE".
  [[noreturn]] void refuse(const std::string& expected) const;

 private:
  const std::string& scalar(const std::string& expected) const;
  uint64_t whole_sectors(uint64_t bytes) const;

  std::string path_;
  const YamlNode& key_;
  const YamlNode& value_;
};

// A map of the document, by key.
class MapReader {
 public:
  // Throws TableError for a key that is none of `known`, or is there twice.
  // `path`: of the map, with a dot at its end, or empty.
  MapReader(const YamlNode& map, const std::string& path,
            std::span<const std::string_view> known);

  // Null if the key is not there.
  const Field* find(std::string_view key) const;

  // In the order of the text.
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::string path_;
  std::vector<Field> fields_;
};

}  // namespace snapfs

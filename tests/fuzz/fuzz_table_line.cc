// SPDX-License-Identifier: MIT
//
// Any text as the line that dmsetup(8) takes: it is taken, or there is one
// clear error at a place inside it; the same whether it stands in YAML or not.
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "config/document.h"
#include "config/table_line.h"
#include "config/table_reader.h"
#include "config/table_writer.h"
#include "core/chunk.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/table_text.h"

namespace snapfs::test {
namespace {

std::string result_of(const std::string& line) {
  YamlNode node;
  node.kind = YamlNode::Kind::scalar;
  node.place = {"f", 1, 1};
  node.value = line;
  try {
    const auto target = parse_table_line(node, "/base");
    return std::visit([](const auto& table) { return in_words(table); },
                      target);
  } catch (const TableError& error) {
    require(error.error() != 0, "it has an errno");
    require(error.message().find('\n') == std::string::npos, "one line");
    require(error.message().size() < 1000, "a short line");
    require(error.place().line == 1 && error.place().column == 1,
            "at the place of the text");
    return "error " + error.message();
  }
}

std::string result_in_yaml(const std::string& line) {
  try {
    const std::vector<Table> tables = read_tables(
        "table: " + quoted_scalar(line) + "\n", {"f", "/base", "default"});
    return std::visit([](const auto& table) { return in_words(table); },
                      tables.at(0).target);
  } catch (const TableError& error) {
    return "error " + error.message();
  }
}

bool is_plain(const std::string& line) {
  for (char c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  try {
    check_text("\"" + line + "\"", "f");
  } catch (const TableError&) {
    return false;
  }
  return !line.empty();
}

void check_values(const std::string& line) {
  YamlNode node;
  node.kind = YamlNode::Kind::scalar;
  node.value = line;
  std::variant<OriginTable, SnapshotTable> target;
  try {
    target = parse_table_line(node, "/base");
  } catch (const TableError&) {
    return;
  }
  if (const auto* origin = std::get_if<OriginTable>(&target)) {
    require(origin->device.starts_with('/'), "an absolute path");
    return;
  }
  const auto& table = std::get<SnapshotTable>(target);
  require(table.origin_path.starts_with('/'), "an absolute path");
  require(table.cow.path.starts_with('/'), "an absolute path");
  require(table.chunk_sectors == 0 || ChunkSize::is_valid(table.chunk_sectors),
          "a size that chunks can have");
  require(!table.length_sectors ||
              *table.length_sectors <= UINT64_MAX / kSectorBytes,
          "a length in bytes");
}

}  // namespace
}  // namespace snapfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  using namespace snapfs;
  const std::string line(reinterpret_cast<const char*>(data), size);
  const std::string result = test::result_of(line);
  test::check_values(line);
  if (size < kMaxDocumentBytes / 4 && test::is_plain(line)) {
    const std::string in_yaml = test::result_in_yaml(line);
    test::require(result == in_yaml, result + "\n---\n" + in_yaml);
  }
  return 0;
}

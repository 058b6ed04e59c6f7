// SPDX-License-Identifier: MIT
//
// Any text as a table file: it is taken, or there is one clear error. What was
// taken is taken again from the text that is kept of it, with the notes of
// whoever keeps it and without.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/table_notes.h"
#include "config/table_reader.h"
#include "config/table_writer.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/table_text.h"

namespace snapfs::test {
namespace {

void check_error(const TableError& error) {
  const std::string text = error.what();
  require(text.starts_with("f.yaml"), "the error names the file: " + text);
  for (char c : text) {
    require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f,
            "the error is one line");
  }
  require(text.size() < 1000, "the error is short: " + text);
  require(error.error() != 0, "it has an errno");
}

Table read_again(const std::string& text, const std::string& name) {
  const std::vector<Table> tables = read_tables(text, {"g", "/base", name});
  require(tables.size() == 1, "the text of a table is one table:\n" + text);
  return tables[0];
}

// `waits`: the name of its file says that it waits.
void check_same(const Table& table, bool waits) {
  const std::string was = in_words(table);
  Table again = read_again(table.text, table.name);
  again.waits = again.waits || waits;
  const std::string is = in_words(again);
  require(was == is, "the same table:\n" + was + "\n---\n" + is);
}

void check_notes(const Table& table) {
  std::string noted;
  try {
    noted = with_notes(table.text, {.handed_over_from = "src", .waits = true});
  } catch (const TableError&) {
    return;  // There is no room for them.
  }
  const Table again = read_again(noted, table.name);
  require(again.waits && again.handed_over_from == "src", "notes are read");
  require(same_table(noted, table.text), "notes do not count");
  require(same_table(without_notes(noted), without_notes(table.text)),
          "notes can be taken away:\n" + noted);
}

void check(const Table& table, bool waits) {
  require(is_device_name(table.name), "it has a name");
  check_same(table, waits);
  require(same_table(table.text, table.text), "it says what it says");
  if (!std::holds_alternative<OriginTable>(table.target)) {
    const bool is_plain = table.group.empty() &&
                          table.handed_over_from.empty() && !table.waits &&
                          !table.was_live;
    if (is_plain) check_notes(table);
  }
}

}  // namespace
}  // namespace snapfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  using namespace snapfs;
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const char* file : {"", "a.yaml", "a.next.yaml"}) {
    try {
      const std::vector<Table> tables =
          *file == 0 ? read_tables(text, {"f.yaml", "/base", "default"})
                     : read_spec_file(file, text, {"f.yaml", "/base", ""});
      test::require(!tables.empty(), "there is a table");
      const bool waits = std::string_view(file) == "a.next.yaml";
      for (const Table& table : tables) test::check(table, waits);
    } catch (const TableError& error) {
      test::check_error(error);
    }
  }
  return 0;
}

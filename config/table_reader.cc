// SPDX-License-Identifier: MIT
//
// text -> documents -> nodes -> tables.
#include "config/table_reader.h"

#include <optional>
#include <string_view>

#include "config/document.h"
#include "config/messages.h"
#include "config/table_builder.h"
#include "config/table_names.h"
#include "config/yaml_parser.h"

namespace snapfs {
namespace {

struct ParsedDocument {
  std::string_view text;
  YamlNode root;
};

Table build(const ParsedDocument& document, const ReadTablesOptions& options,
            bool is_alone) {
  Table table = build_table(document.root, options.base_dir,
                            is_alone ? &options.default_name : nullptr);
  table.text = std::string(document.text);
  return table;
}

}  // namespace

std::vector<Table> read_tables(const std::string& text,
                               const ReadTablesOptions& options) {
  check_text(text, options.file);
  std::vector<Table> tables;
  // Built when it is known whether another one follows. Nodes are never kept
  // for more than this one: they are larger than their text.
  std::optional<ParsedDocument> last;
  for (const Document& document : split_documents(text)) {
    std::optional<YamlNode> root = parse_yaml(document, options.file);
    if (!root) continue;
    if (last) tables.push_back(build(*last, options, false));
    if (tables.size() == kMaxTables)
      fail({options.file, document.first_line, 1},
           "too many tables in one file");
    last = ParsedDocument{document.text, std::move(*root)};
  }
  if (!last) fail({options.file, 1, 1}, "there is no table in this text");
  bool is_alone = tables.empty();
  tables.push_back(build(*last, options, is_alone));
  // A text of one table is kept to the last comment.
  if (is_alone) tables.front().text = text;
  check_unique_names(tables);
  return tables;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// text -> documents -> nodes -> tables.
#include "config/table_reader.h"

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

std::vector<ParsedDocument> parse_documents(const std::string& text,
                                            const std::string& file) {
  check_text(text, file);
  std::vector<ParsedDocument> parsed;
  for (const Document& document : split_documents(text))
    if (std::optional<YamlNode> root = parse_yaml(document, file)) {
      if (parsed.size() == kMaxTables)
        fail({file, document.first_line, 1}, "too many tables in one file");
      parsed.push_back({document.text, std::move(*root)});
    }
  if (parsed.empty()) fail({file, 1, 1}, "there is no table in this text");
  return parsed;
}

}  // namespace

std::vector<Table> read_tables(const std::string& text,
                               const ReadTablesOptions& options) {
  std::vector<ParsedDocument> documents = parse_documents(text, options.file);
  bool is_alone = documents.size() == 1;
  std::vector<Table> tables;
  for (const ParsedDocument& document : documents) {
    Table table = build_table(document.root, options.base_dir,
                              is_alone ? &options.default_name : nullptr);
    // A text of one table is kept to the last comment.
    table.text = is_alone ? text : std::string(document.text);
    tables.push_back(std::move(table));
  }
  check_unique_names(tables);
  return tables;
}

}  // namespace snapfs

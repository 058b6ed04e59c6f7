// SPDX-License-Identifier: MIT
//
// A text as documents, before any of it is parsed. Stateless.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace snapfs {

// One YAML document of a text. Parsed alone it gives what it gives in its text,
// since nothing in YAML reaches over a document's end.
struct Document {
  std::string_view text;    // as written, markers and comments included
  unsigned first_line = 1;  // where it begins in its file, from 1
};

// Refuses, with a TableError at the first such byte, what is not text: more
// than kMaxTableBytes, invalid UTF-8, control characters. `file` is for
// messages.
void check_text(std::string_view text, const std::string& file);

// Cuts at the lines `---` and `...`, which have no other meaning at the
// beginning of a line, wherever they are. Views into `text`. Comments and
// directives before a `---` belong to the document that it begins. Some of the
// documents may be empty.
std::vector<Document> split_documents(std::string_view text);

// Without the byte order mark that it may begin with.
std::string_view without_byte_order_mark(std::string_view text);

}  // namespace snapfs

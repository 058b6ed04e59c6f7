// SPDX-License-Identifier: MIT
#include "config/document.h"

#include <algorithm>
#include <cstdint>

#include "config/messages.h"
#include "config/table_reader.h"

namespace snapfs {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// Length of the UTF-8 sequence that `text` begins with; 0 if it is none
// (overlong, a surrogate, beyond U+10FFFF, cut off).
std::size_t sequence_length(std::string_view text) {
  auto byte = [text](std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  uint32_t code = lead & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  bool is_overlong =
      (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  return is_surrogate || is_overlong || code > 0x10ffff ? 0 : length;
}

// What is wrong with the character that `text` begins with; null if nothing.
const char* flaw(std::string_view text, std::size_t length) {
  if (length == 0) return "not a table: the text is not valid UTF-8";
  auto byte = static_cast<unsigned char>(text[0]);
  if (byte == 0) return "not a table: the text has a NUL byte";
  bool is_line_end = byte == '\n' || text.starts_with("\r\n");
  bool is_control = (byte < 0x20 && byte != '\t') || byte == 0x7f ||
                    (byte == 0xc2 && (text[1] & 0x60) == 0);
  if (is_control && !is_line_end)
    return "not a table: the text has a control character";
  return nullptr;
}

// `---` or `...`, then a blank or the end of the line.
bool is_marker(std::string_view line, std::string_view marker) {
  if (!line.starts_with(marker)) return false;
  line.remove_prefix(marker.size());
  return line.empty() || std::string_view(" \t\r\n").find(line.front()) !=
                             std::string_view::npos;
}

// A comment, a directive or nothing.
bool is_preamble(std::string_view line) {
  std::size_t begin = line.find_first_not_of(" \t\r\n");
  return begin == std::string_view::npos || line[begin] == '#' ||
         line[0] == '%';
}

}  // namespace

std::string_view without_byte_order_mark(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(3);
  return text;
}

void check_text(std::string_view text, const std::string& file) {
  if (text.size() > kMaxTableBytes)
    fail({file}, "longer than 1 MiB: not a table", EFBIG);
  Place place{file, 1, 1};
  for (text = without_byte_order_mark(text); !text.empty();) {
    std::size_t length = sequence_length(text);
    if (const char* message = flaw(text, length)) fail(place, message);
    bool is_newline = text[0] == '\n';
    place.line += is_newline ? 1 : 0;
    place.column =
        is_newline ? 1 : place.column + static_cast<unsigned>(length);
    text.remove_prefix(length);
  }
}

std::vector<Document> split_documents(std::string_view text) {
  std::vector<Document> documents;
  std::size_t begin = 0;  // of the document that this line may belong to
  unsigned first_line = 1;
  unsigned line_number = 1;
  bool has_begun = false;  // seen more than comments and directives
  auto cut = [&](std::size_t end, unsigned next_line) {
    documents.push_back({text.substr(begin, end - begin), first_line});
    begin = end;
    first_line = next_line;
    has_begun = false;
  };
  for (std::size_t at = 0; at < text.size(); ++line_number) {
    std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    std::string_view line = text.substr(at, end - at);
    if (at == 0) line = without_byte_order_mark(line);
    if (is_marker(line, "---") && has_begun) cut(at, line_number);
    if (!is_preamble(line)) has_begun = true;
    if (is_marker(line, "...")) cut(end, line_number + 1);
    at = end;
  }
  if (begin < text.size()) cut(text.size(), line_number);
  return documents;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/json_reader.h"

#include <limits>

namespace snapfs {
namespace {

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxString = std::size_t{64} << 10;

bool is_digit(int c) { return c >= '0' && c <= '9'; }

// A code point outside surrogates, as UTF-8.
void append_utf8(std::string& text, unsigned code) {
  const auto put = [&](unsigned byte) { text += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

}  // namespace

uint64_t JsonReader::read_number() {
  if (!is_digit(peek())) fail("a whole number is expected");
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  uint64_t value = 0;
  const bool is_zero = in_.peek() == '0';
  while (is_digit(in_.peek())) {
    const auto digit = static_cast<uint64_t>(in_.get() - '0');
    if (value > (kMax - digit) / 10) fail("a number is too large");
    value = value * 10 + digit;
    if (is_zero) break;
  }
  const int next = in_.peek();
  if (is_digit(next) || next == '.' || next == 'e' || next == 'E')
    fail("a whole number is expected");
  return value;
}

std::string JsonReader::read_string() {
  take('"');
  std::string text;
  for (;;) {
    const int c = in_.get();
    if (c == '"') return text;
    if (c < 0x20) fail("a string does not end");
    if (text.size() >= kMaxString) fail("a string is too long");
    if (c == '\\') {
      read_escape(text);
    } else {
      text += static_cast<char>(c);
    }
  }
}

void JsonReader::read_escape(std::string& text) {
  const int c = in_.get();
  switch (c) {
    case '"':
    case '\\':
    case '/':
      text += static_cast<char>(c);
      return;
    case 'b':
      text += '\b';
      return;
    case 'f':
      text += '\f';
      return;
    case 'n':
      text += '\n';
      return;
    case 'r':
      text += '\r';
      return;
    case 't':
      text += '\t';
      return;
    case 'u':
      append_utf8(text, read_hex());
      return;
    default:
      fail("no escape sequence of JSON");
  }
}

unsigned JsonReader::read_hex() {
  unsigned code = 0;
  for (int i = 0; i < 4; ++i) {
    const int c = in_.get();
    const int lower = c | 0x20;
    if (is_digit(c)) {
      code = code * 16 + static_cast<unsigned>(c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      code = code * 16 + static_cast<unsigned>(lower - 'a' + 10);
    } else {
      fail("no escape sequence of JSON");
    }
  }
  return code;
}

std::optional<std::string> JsonReader::next_key(bool first) {
  if (peek() == '}') {
    in_.get();
    return std::nullopt;
  }
  if (!first) take(',');
  std::string key = read_string();
  take(':');
  return key;
}

bool JsonReader::next_item(bool first) {
  if (peek() == ']') {
    in_.get();
    return false;
  }
  if (!first) take(',');
  return true;
}

void JsonReader::expect_end() {
  if (peek() >= 0) fail("something follows the end");
}

int JsonReader::peek() {
  for (;;) {
    const int c = in_.peek();
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return c;
    if (c == '\n') ++line_;
    in_.get();
  }
}

void JsonReader::take(char wanted) {
  if (peek() != wanted) fail(std::string("'") + wanted + "' is expected");
  in_.get();
}

void JsonReader::take_word(const char* word) {
  for (; *word != '\0'; ++word)
    if (in_.get() != *word) fail("no value of JSON");
}

void JsonReader::skip_number() {
  if (in_.peek() == '-') in_.get();
  if (!is_digit(in_.peek())) fail("no value of JSON");
  for (int c = in_.peek();
       is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
       c = in_.peek())
    in_.get();
}

void JsonReader::skip_value(int depth) {
  if (depth > kMaxDepth) fail("nested too deeply");
  switch (peek()) {
    case '{':
      begin_object();
      for (bool first = true; next_key(first); first = false)
        skip_value(depth + 1);
      return;
    case '[':
      begin_array();
      for (bool first = true; next_item(first); first = false)
        skip_value(depth + 1);
      return;
    case '"':
      read_string();
      return;
    case 't':
      return take_word("true");
    case 'f':
      return take_word("false");
    case 'n':
      return take_word("null");
    default:
      skip_number();
  }
}

void JsonReader::fail(const std::string& what) const {
  throw JsonError("line " + std::to_string(line_) + ": " + what);
}

}  // namespace snapfs

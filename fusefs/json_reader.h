// SPDX-License-Identifier: MIT
//
// Reads JSON (RFC 8259) value by value from a stream, with nothing of it in
// memory but the value at hand. The numbers are whole and not negative, which
// is all that dumps have. One thread; throws JsonError with the line.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <stdexcept>
#include <string>

namespace snapfs {

class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class JsonReader {
 public:
  // `in` must live longer.
  explicit JsonReader(std::istream& in) : in_(in) {}

  uint64_t read_number();
  std::string read_string();
  // A value of any kind that is of no interest.
  void skip_value() { skip_value(0); }

  //   reader.begin_object();
  //   for (bool first = true; auto key = reader.next_key(first); first = false)
  void begin_object() { take('{'); }
  // Nothing: the object ends here.
  std::optional<std::string> next_key(bool first);

  //   reader.begin_array();
  //   for (bool first = true; reader.next_item(first); first = false)
  void begin_array() { take('['); }
  // False: the array ends here.
  bool next_item(bool first);

  // There must be nothing behind the last value.
  void expect_end();

 private:
  int peek();  // of what is no blank
  void take(char wanted);
  void take_word(const char* word);
  void skip_value(int depth);
  void skip_number();
  void read_escape(std::string& text);
  unsigned read_hex();
  [[noreturn]] void fail(const std::string& what) const;

  std::istream& in_;
  uint64_t line_ = 1;
};

}  // namespace snapfs

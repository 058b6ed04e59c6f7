// SPDX-License-Identifier: MIT
//
// Why a device cannot be had, in words for the user. It becomes a TableError
// where the place of the table is known.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>

namespace snapfs {

class Refusal : public std::runtime_error {
 public:
  Refusal(int error, const std::string& text)
      : std::runtime_error(text), error_(error) {}

  int error() const { return error_; }  // an errno

 private:
  int error_;
};

// Refuses with "SUBJECT: strerror".
[[noreturn]] inline void refuse_errno(int error, const std::string& subject) {
  throw Refusal(error, subject + ": " + std::strerror(error));
}

}  // namespace snapfs

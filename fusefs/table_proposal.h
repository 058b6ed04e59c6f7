// SPDX-License-Identifier: MIT
//
// A table's text as one open file writes it, and the rule that says when it is
// to be taken. The kernel tells of each descriptor that is closed, also of
// copies that a child process inherited, and never which one is the last. So:
//
//   close by the process that opened the file   take it
//   close by another process                    check it: more may follow
//   fsync                                       take it
//   last descriptor gone                        take it
//
// and only if it is not empty and has changed since it was last tried. A text
// whose writer was killed is given up: it may lack its end. What was refused
// stays refused for this file until its text changes, so that no later close
// reports success. Externally synchronised.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>

namespace snapfs {

class TableProposal {
 public:
  enum class Step {
    nothing,  // answer error()
    check,    // look for errors that no further text can repair
    take,     // try it, then tell concluded()
    give_up,  // report that it is not taken, then tell concluded()
  };

  // `text` is what the file holds at first. It counts as tried, so writing it
  // unchanged takes nothing; after O_TRUNC it is nullopt.
  TableProposal(pid_t opener, std::optional<std::string> text);

  const std::string& text() const { return text_; }

  // Throw std::system_error(EFBIG) beyond the size that a table can have.
  void write(uint64_t offset, std::span<const std::byte> data, pid_t writer);
  void append(std::span<const std::byte> data, pid_t writer);
  void truncate(uint64_t size);

  // `killed`: it is closed because a signal ended the process.
  Step on_close(pid_t process, bool killed);
  Step on_sync() const;
  Step on_release() const;

  // The text as it is was taken (0) or refused (an errno).
  void concluded(int error);

  // What a close answers when nothing is to be done.
  int error() const;

 private:
  bool is_new() const;

  const pid_t opener_;
  std::string text_;
  std::optional<std::string> tried_;
  int tried_error_ = 0;
  std::set<pid_t> writers_;  // since it was last tried
  bool writer_killed_ = false;
};

}  // namespace snapfs

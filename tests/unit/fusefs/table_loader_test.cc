// SPDX-License-Identifier: MIT
//
// What is said of a table's text before it is complete.
#include "fusefs/table_loader.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace snapfs {
namespace {

int check(const std::string& text) {
  return TableLoader::check("x", text, "/");
}

TEST(TableCheck, beginning_of_a_good_table_may_go_on) {
  const std::string text =
      "# a comment\ntarget: snapshot\norigin: base\ncow: {path: /cow,\n"
      "  create: true, size: 10MiB}\nstore: P\nchunk_size: 16KiB\n"
      "features: [discard_zeroes_cow]\n";
  for (std::size_t length = 0; length <= text.size(); ++length) {
    EXPECT_EQ(0, check(text.substr(0, length))) << text.substr(0, length);
  }
}

TEST(TableCheck, beginning_of_several_documents_may_go_on) {
  const std::string text =
      "name: a\ntarget: snapshot-origin\ndevice: /a\n---\nname: b\n"
      "target: snapshot-origin\ndevice: /b\n";
  for (std::size_t length = 0; length <= text.size(); ++length) {
    EXPECT_EQ(0, check(text.substr(0, length))) << text.substr(0, length);
  }
}

TEST(TableCheck, unknown_key_cannot_be_mended) {
  EXPECT_EQ(EBADMSG, check("target: snapshot\nno_such_key: 1\n"));
}

TEST(TableCheck, text_that_is_no_yaml_cannot_be_mended) {
  EXPECT_EQ(EBADMSG, check("target: ]\norigin: base\n"));
}

TEST(TableCheck, line_that_is_not_complete_is_not_judged) {
  EXPECT_EQ(0, check("target: snapshot\nno_such_key: 1"));
}

}  // namespace
}  // namespace snapfs

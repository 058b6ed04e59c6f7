// SPDX-License-Identifier: MIT
//
// The rule that says when a table's text is taken, without a mount.
#include "fusefs/table_proposal.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "config/table_reader.h"

namespace snapfs {
namespace {

using Step = TableProposal::Step;

constexpr pid_t kOpener = 100;
constexpr pid_t kChild = 101;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

void write(TableProposal& proposal, const std::string& text,
           pid_t writer = kOpener) {
  proposal.append(bytes_of(text), writer);
}

TableProposal truncated() { return {kOpener, std::nullopt}; }

TEST(TableProposal, close_before_any_text_takes_nothing) {
  TableProposal proposal = truncated();
  EXPECT_EQ(Step::nothing, proposal.on_close(kOpener, false));
  EXPECT_EQ(Step::nothing, proposal.on_release());
  EXPECT_EQ(0, proposal.error());
}

TEST(TableProposal, close_by_the_opener_takes_the_text) {
  TableProposal proposal = truncated();
  write(proposal, "text");
  EXPECT_EQ(Step::take, proposal.on_close(kOpener, false));
}

TEST(TableProposal, close_by_a_child_only_checks) {
  TableProposal proposal = truncated();
  write(proposal, "first half", kChild);
  EXPECT_EQ(Step::check, proposal.on_close(kChild, false));
  write(proposal, "second half", kChild + 1);
  EXPECT_EQ(Step::check, proposal.on_close(kChild + 1, false));
  EXPECT_EQ(Step::take, proposal.on_close(kOpener, false));
}

TEST(TableProposal, text_is_tried_once) {
  TableProposal proposal = truncated();
  write(proposal, "text");
  proposal.concluded(0);
  EXPECT_EQ(Step::nothing, proposal.on_close(kOpener, false));
  EXPECT_EQ(Step::nothing, proposal.on_sync());
  EXPECT_EQ(Step::nothing, proposal.on_release());
}

TEST(TableProposal, changed_text_is_tried_again) {
  TableProposal proposal = truncated();
  write(proposal, "text");
  proposal.concluded(EBADMSG);
  write(proposal, " and more");
  EXPECT_EQ(0, proposal.error());
  EXPECT_EQ(Step::take, proposal.on_close(kOpener, false));
}

TEST(TableProposal, refusal_stands_until_the_text_changes) {
  TableProposal proposal = truncated();
  write(proposal, "text");
  proposal.concluded(EBADMSG);
  EXPECT_EQ(Step::nothing, proposal.on_close(kOpener, false));
  EXPECT_EQ(EBADMSG, proposal.error());
}

TEST(TableProposal, sync_by_anybody_takes_the_text) {
  TableProposal proposal = truncated();
  write(proposal, "text", kChild);
  EXPECT_EQ(Step::take, proposal.on_sync());
}

TEST(TableProposal, last_close_takes_what_was_never_tried) {
  TableProposal proposal = truncated();
  write(proposal, "text", kChild);
  EXPECT_EQ(Step::check, proposal.on_close(kChild, false));
  EXPECT_EQ(Step::take, proposal.on_release());
}

TEST(TableProposal, text_that_was_there_is_not_tried) {
  TableProposal proposal(kOpener, "live");
  proposal.write(0, bytes_of("live"), kOpener);
  EXPECT_EQ(Step::nothing, proposal.on_close(kOpener, false));
}

TEST(TableProposal, text_written_after_truncation_is_tried_though_the_same) {
  TableProposal proposal = truncated();
  write(proposal, "live");
  EXPECT_EQ(Step::take, proposal.on_close(kOpener, false));
}

TEST(TableProposal, emptied_text_is_not_tried) {
  TableProposal proposal(kOpener, "live");
  proposal.truncate(0);
  EXPECT_EQ(Step::nothing, proposal.on_close(kOpener, false));
  EXPECT_EQ(Step::nothing, proposal.on_release());
}

TEST(TableProposal, text_of_a_killed_opener_is_given_up) {
  TableProposal proposal = truncated();
  write(proposal, "half");
  EXPECT_EQ(Step::give_up, proposal.on_close(kOpener, true));
  proposal.concluded(EBADMSG);
  EXPECT_EQ(Step::nothing, proposal.on_release());
}

TEST(TableProposal, text_of_a_killed_child_is_given_up_by_the_opener) {
  TableProposal proposal = truncated();
  write(proposal, "half", kChild);
  EXPECT_EQ(Step::nothing, proposal.on_close(kChild, true));
  EXPECT_EQ(Step::give_up, proposal.on_close(kOpener, false));
}

TEST(TableProposal, killed_child_that_wrote_nothing_does_no_harm) {
  TableProposal proposal = truncated();
  write(proposal, "text");
  EXPECT_EQ(Step::nothing, proposal.on_close(kChild, true));
  EXPECT_EQ(Step::take, proposal.on_close(kOpener, false));
}

TEST(TableProposal, new_beginning_forgets_the_killed_writer) {
  TableProposal proposal = truncated();
  write(proposal, "half", kChild);
  EXPECT_EQ(Step::nothing, proposal.on_close(kChild, true));
  proposal.truncate(0);
  write(proposal, "whole");
  EXPECT_EQ(Step::take, proposal.on_close(kOpener, false));
}

TEST(TableProposal, writes_in_pieces_and_out_of_order_make_one_text) {
  TableProposal proposal = truncated();
  proposal.write(4, bytes_of("text"), kOpener);
  proposal.write(0, bytes_of("the "), kOpener);
  EXPECT_EQ("the text", proposal.text());
}

TEST(TableProposal, is_no_longer_than_a_table_can_be) {
  TableProposal proposal = truncated();
  std::string text(kMaxTableBytes, 'x');
  write(proposal, text);
  EXPECT_THROW(write(proposal, "x"), std::system_error);
  EXPECT_THROW(proposal.write(UINT64_MAX, bytes_of("x"), kOpener),
               std::system_error);
  EXPECT_EQ(kMaxTableBytes, proposal.text().size());
}

}  // namespace
}  // namespace snapfs

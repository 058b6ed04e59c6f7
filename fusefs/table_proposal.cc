// SPDX-License-Identifier: MIT
#include "fusefs/table_proposal.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "config/table_reader.h"
#include "fusefs/bounded_text.h"

namespace snapfs {

TableProposal::TableProposal(pid_t opener, std::optional<std::string> text)
    : opener_(opener),
      text_(text.value_or(std::string())),
      tried_(std::move(text)) {}

void TableProposal::write(uint64_t offset, std::span<const std::byte> data,
                          pid_t writer) {
  write_text(text_, offset, data, kMaxTableBytes);
  writers_.insert(writer);
}

void TableProposal::append(std::span<const std::byte> data, pid_t writer) {
  write(text_.size(), data, writer);
}

void TableProposal::truncate(uint64_t size) {
  resize_text(text_, size, kMaxTableBytes);
  if (size != 0) return;
  // A new beginning: nothing of a killed writer is left.
  writers_.clear();
  writer_killed_ = false;
}

bool TableProposal::is_new() const {
  return !text_.empty() && (!tried_ || *tried_ != text_);
}

TableProposal::Step TableProposal::on_close(pid_t process, bool killed) {
  if (!is_new()) return Step::nothing;
  if (killed && writers_.contains(process)) writer_killed_ = true;
  if (killed && process != opener_) return Step::nothing;
  if (writer_killed_) return Step::give_up;
  if (killed) return Step::nothing;
  return process == opener_ ? Step::take : Step::check;
}

TableProposal::Step TableProposal::on_sync() const {
  if (!is_new()) return Step::nothing;
  return writer_killed_ ? Step::give_up : Step::take;
}

TableProposal::Step TableProposal::on_release() const { return on_sync(); }

void TableProposal::concluded(int error) {
  tried_ = text_;
  tried_error_ = error;
  writers_.clear();
}

int TableProposal::error() const {
  return tried_ && *tried_ == text_ ? tried_error_ : 0;
}

}  // namespace snapfs

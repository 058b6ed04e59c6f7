// SPDX-License-Identifier: MIT
#include "fusefs/table_node.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "core/mutex.h"
#include "fusefs/table_directory.h"
#include "fusefs/table_proposal.h"
#include "fusefs/text_node.h"

namespace snapfs {
namespace {

// The lock is held while a proposal is tried: only users of this very open file
// wait for it, and they must see how it ends.
class ProposalHandle : public Handle {
 public:
  ProposalHandle(TableDirectory& directory, std::shared_ptr<TableNode> node,
                 TableProposal proposal)
      : directory_(directory),
        node_(std::move(node)),
        proposal_(std::move(proposal)) {}

  void read(Reply& reply, uint64_t offset, std::size_t size, int) override {
    std::string text;
    {
      MutexLock lock(mutex_);
      text = proposal_.text();
    }
    reply_text(reply, text, offset, size);
  }

  void write(Reply& reply, uint64_t offset, std::span<const std::byte> data,
             int flags) override {
    pid_t writer = process_of(caller_of(reply.request()).thread);
    {
      MutexLock lock(mutex_);
      if ((flags & O_APPEND) != 0) {
        proposal_.append(data, writer);
      } else {
        proposal_.write(offset, data, writer);
      }
    }
    reply.written(data.size());
  }

  void flush(Reply& reply) override {
    pid_t thread = caller_of(reply.request()).thread;
    pid_t process = process_of(thread);
    bool killed = is_killed(thread);
    reply.error(conclude([&](TableProposal& proposal) {
      return proposal.on_close(process, killed);
    }));
  }

  void sync(Reply& reply) override {
    reply.error(conclude(
        [](const TableProposal& proposal) { return proposal.on_sync(); }));
  }

  void release() noexcept override {
    try {
      conclude(
          [](const TableProposal& proposal) { return proposal.on_release(); });
    } catch (const std::bad_alloc&) {
      // Nobody waits for an answer; the text is lost, the live table is not.
    }
  }

  bool is_control() const override { return true; }

  void truncate(uint64_t size) {
    MutexLock lock(mutex_);
    proposal_.truncate(size);
  }

 private:
  template <typename Decide>
  int conclude(Decide&& decide);

  TableDirectory& directory_;
  const std::shared_ptr<TableNode> node_;
  Mutex mutex_;
  TableProposal proposal_ GUARDED_BY(mutex_);
};

// Does what the rule says, and returns the errno of a close.
template <typename Decide>
int ProposalHandle::conclude(Decide&& decide) {
  MutexLock lock(mutex_);
  switch (decide(proposal_)) {
    case TableProposal::Step::nothing:
      break;
    case TableProposal::Step::check:
      return directory_.check(*node_, proposal_.text());
    case TableProposal::Step::take:
      proposal_.concluded(directory_.take(*node_, proposal_.text()));
      break;
    case TableProposal::Step::give_up:
      proposal_.concluded(directory_.give_up(
          *node_, proposal_.text(), "the process that wrote it was killed"));
      break;
  }
  return proposal_.error();
}

}  // namespace

std::unique_ptr<Handle> TableNode::open_proposal(
    const Caller& caller, std::optional<std::string> text) {
  return std::make_unique<ProposalHandle>(
      directory_, std::static_pointer_cast<TableNode>(shared_from_this()),
      TableProposal(process_of(caller.thread), std::move(text)));
}

std::unique_ptr<Handle> TableNode::open_new(const Caller& caller) {
  return open_proposal(caller, std::nullopt);
}

std::unique_ptr<Handle> TableNode::open(const Caller& caller, int flags) {
  std::optional<std::string> text = directory_.text_of(*this);
  // The name is gone, or leads elsewhere: the kernel looks it up again.
  if (!text) refuse(ESTALE);
  if (!opens_for_writing(flags)) return std::make_unique<TextHandle>(*text);
  if ((flags & O_TRUNC) != 0) text.reset();
  return open_proposal(caller, std::move(text));
}

struct stat TableNode::attributes() const {
  return context_.attributes(
      inode(), S_IFREG | 0600,
      directory_.text_of(*this).value_or(std::string()).size());
}

// Emptying a table is the way many programs begin to write one; by itself it
// changes nothing. Mode, owner and times are accepted and not kept.
void TableNode::set_attributes(const struct stat& wanted, int what,
                               Handle* handle, const Caller&) {
  if ((what & FUSE_SET_ATTR_SIZE) == 0) return;
  if (auto* proposal = dynamic_cast<ProposalHandle*>(handle)) {
    return proposal->truncate(static_cast<uint64_t>(wanted.st_size));
  }
  if (wanted.st_size != 0 && wanted.st_size != attributes().st_size) {
    refuse(EPERM);
  }
}

}  // namespace snapfs

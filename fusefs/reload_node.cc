// SPDX-License-Identifier: MIT
#include "fusefs/reload_node.h"

#include <cerrno>
#include <span>

#include "core/mutex.h"
#include "fusefs/control_job.h"
#include "fusefs/text_node.h"

namespace snapfs {
namespace {

class ReloadHandle : public Handle {
 public:
  explicit ReloadHandle(std::shared_ptr<ReloadNode> node)
      : node_(std::move(node)), outcome_(std::make_shared<Outcome>()) {}

  void read(Reply& reply, uint64_t offset, std::size_t size, int) override {
    std::string text;
    {
      MutexLock lock(outcome_->mutex);
      text = outcome_->text;
    }
    reply_text(reply, text, offset, size);
  }

  void write(Reply& reply, uint64_t, std::span<const std::byte> data,
             int) override {
    run_control(
        node_->context(), reply,
        [node = node_, outcome = outcome_, size = data.size()](Reply& answer) {
          const ReloadReport report = node->reload();
          std::string text;
          for (const std::string& line : report.done) text += line + '\n';
          for (const std::string& line : report.errors)
            text += "error: " + line + '\n';
          {
            MutexLock lock(outcome->mutex);
            outcome->text = std::move(text);
          }
          if (report.error != 0) refuse(report.error);
          answer.written(size);
        });
  }

 private:
  // Of the last write; the job may outlive the handle.
  struct Outcome {
    Mutex mutex;
    std::string text GUARDED_BY(mutex);
  };

  const std::shared_ptr<ReloadNode> node_;
  const std::shared_ptr<Outcome> outcome_;
};

}  // namespace

struct stat ReloadNode::attributes() const {
  return context_.attributes(inode(), S_IFREG | 0600, 0);
}

std::unique_ptr<Handle> ReloadNode::open(const Caller&, int) {
  return std::make_unique<ReloadHandle>(
      std::static_pointer_cast<ReloadNode>(shared_from_this()));
}

// Shells empty the file before they write.
void ReloadNode::set_attributes(const struct stat& wanted, int what, Handle*,
                                const Caller&) {
  if ((what & FUSE_SET_ATTR_SIZE) != 0 && wanted.st_size != 0) refuse(EPERM);
}

}  // namespace snapfs

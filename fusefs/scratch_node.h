// SPDX-License-Identifier: MIT
//
// A file in .control/tables that is no table: an editor's backup, swap or
// temporary file. An ordinary file in memory, small, without effect.
// Thread-safe.
#pragma once

#include <ctime>
#include <string>

#include "core/mutex.h"
#include "fusefs/node.h"
#include "fusefs/tree_context.h"

namespace snapfs {

class ScratchNode : public Node {
 public:
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

  ScratchNode(TreeContext& context, std::string text);

  std::string text() const EXCLUDES(mutex_);
  void read(Reply& reply, uint64_t offset, std::size_t size) const
      EXCLUDES(mutex_);
  void write(uint64_t offset, std::span<const std::byte> data, bool append)
      EXCLUDES(mutex_);

  struct stat attributes() const override EXCLUDES(mutex_);
  std::unique_ptr<Handle> open(const Caller& caller, int flags) override
      EXCLUDES(mutex_);
  void set_attributes(const struct stat& wanted, int what, Handle* handle,
                      const Caller& caller) override EXCLUDES(mutex_);

 private:
  void resize(uint64_t size) EXCLUDES(mutex_);

  TreeContext& context_;
  mutable Mutex mutex_;
  std::string text_ GUARDED_BY(mutex_);
  mode_t mode_ GUARDED_BY(mutex_) = 0600;
  timespec modified_ GUARDED_BY(mutex_){};
};

}  // namespace snapfs

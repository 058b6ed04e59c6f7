// SPDX-License-Identifier: MIT
//
// A BlockDevice on a regular file or a block special file, through the page
// cache. Thread-safe: every transfer names its offset, and the kernel orders
// what overlaps. A file that is shortened while it is used fails what lies
// behind its end with EIO.
#pragma once

#include <atomic>
#include <string>

#include "core/block_device.h"
#include "core/unique_fd.h"

namespace snapfs {

class FileDevice : public BlockDevice {
 public:
  // Takes over `fd`, open for reading, and for writing if anything here is to
  // write. `name` stands in messages; the file is never opened by it. Throws
  // std::system_error: EINVAL if `fd` is neither kind of file.
  FileDevice(UniqueFd fd, std::string name);

  const std::string& name() const override { return name_; }

  // The last, incomplete sector of a regular file does not count.
  uint64_t size() const override;

  uint32_t logical_block_size() const override { return logical_block_size_; }

  void read(uint64_t offset, std::span<std::byte> into) override;
  void write(uint64_t offset, std::span<const std::byte> from) override;
  void write_durable(uint64_t offset, std::span<const std::byte> from) override;
  void zero(ByteRange range) override;
  void flush() override;
  void grow(uint64_t bytes) override;
  std::optional<Backing> backing() const override;
  Extent extent_at(uint64_t offset) override;

  // For questions that are not transfers: locks, identity. Stays owned here.
  int fd() const { return fd_.get(); }

 private:
  void require_inside(ByteRange range) const;
  void transfer_out(uint64_t offset, std::span<const std::byte> from,
                    int flags);
  bool deallocate(ByteRange range);
  void write_zeroes(ByteRange range);
  [[noreturn]] void fail(int error, const char* verb, uint64_t offset) const;

  const UniqueFd fd_;
  const std::string name_;
  bool is_block_ = false;
  uint32_t logical_block_size_ = kSectorBytes;

  // Cleared for good by the first refusal of RWF_DSYNC.
  std::atomic<bool> has_durable_write_{true};
};

}  // namespace snapfs

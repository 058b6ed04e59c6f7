// SPDX-License-Identifier: MIT
#include "core/file_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace snapfs {
namespace {

// Zeroing part of a page would leave the kernel to mend its cached copy, which
// it does differently from release to release; whole pages are simply dropped.
constexpr uint64_t kCachePage = 4096;

constexpr uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

off_t to_off(uint64_t value) { return static_cast<off_t>(value); }

bool says_unsupported(int error) {
  return error == EOPNOTSUPP || error == ENOSYS;
}

}  // namespace

FileDevice::FileDevice(UniqueFd fd, std::string name)
    : fd_(std::move(fd)), name_(std::move(name)) {
  struct stat status;
  if (fstat(fd_.get(), &status) != 0) throw_errno("cannot examine", name_);
  is_block_ = S_ISBLK(status.st_mode);
  if (!is_block_ && !S_ISREG(status.st_mode)) {
    throw_errno(EINVAL, "neither a block device nor a regular file:", name_);
  }
  if (is_block_) {
    int bytes = 0;
    if (ioctl(fd_.get(), BLKSSZGET, &bytes) != 0) {
      throw_errno("cannot get the logical block size of", name_);
    }
    logical_block_size_ = static_cast<uint32_t>(bytes);
  }
}

uint64_t FileDevice::size() const {
  uint64_t bytes = 0;
  if (is_block_) {
    if (ioctl(fd_.get(), BLKGETSIZE64, &bytes) != 0) {
      throw_errno("cannot get the size of", name_);
    }
  } else {
    struct stat status;
    if (fstat(fd_.get(), &status) != 0) {
      throw_errno("cannot get the size of", name_);
    }
    bytes = static_cast<uint64_t>(status.st_size);
  }
  return bytes / kSectorBytes * kSectorBytes;
}

void FileDevice::read(uint64_t offset, std::span<std::byte> into) {
  while (!into.empty()) {
    ssize_t count = pread(fd_.get(), into.data(), into.size(), to_off(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(errno, "cannot read", offset);
    // The end of the file: it was shortened behind our back.
    if (count == 0) fail(EIO, "unexpected end of", offset);
    into = into.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

// A file would be made longer by a write behind its end: one that was cut off
// would not show what it has lost.
void FileDevice::require_inside(ByteRange range) const {
  if (range.end() <= size()) return;
  fail(EIO, "unexpected end of", range.offset);
}

void FileDevice::write(uint64_t offset, std::span<const std::byte> from) {
  require_inside({offset, from.size()});
  transfer_out(offset, from, 0);
}

void FileDevice::write_durable(uint64_t offset,
                               std::span<const std::byte> from) {
  require_inside({offset, from.size()});
  if (has_durable_write_.load(std::memory_order_relaxed)) {
    try {
      transfer_out(offset, from, RWF_DSYNC);
      return;
    } catch (const std::system_error& error) {
      if (!says_unsupported(error.code().value())) throw;
      has_durable_write_.store(false, std::memory_order_relaxed);
    }
  }
  transfer_out(offset, from, 0);
  flush();
}

void FileDevice::transfer_out(uint64_t offset, std::span<const std::byte> from,
                              int flags) {
  while (!from.empty()) {
    // The vector is read only; its type merely serves reads as well.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    iovec piece{const_cast<std::byte*>(from.data()), from.size()};
    ssize_t count =
        flags == 0 ? pwrite(fd_.get(), from.data(), from.size(), to_off(offset))
                   : pwritev2(fd_.get(), &piece, 1, to_off(offset), flags);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(errno, "cannot write", offset);
    if (count == 0) fail(EIO, "no progress writing", offset);
    from = from.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

void FileDevice::flush() {
  // An interrupted fdatasync has promised nothing, so it is asked again.
  while (fdatasync(fd_.get()) != 0) {
    if (errno == EINTR) continue;
    // What found no space now is not kept for a second try.
    throw_errno(errno == ENOSPC ? EIO : errno, "cannot flush", name_);
  }
}

void FileDevice::grow(uint64_t bytes) {
  if (is_block_) return BlockDevice::grow(bytes);
  while (ftruncate(fd_.get(), to_off(bytes)) != 0) {
    if (errno != EINTR) throw_errno("cannot extend", name_);
  }
}

std::optional<BlockDevice::Backing> FileDevice::backing() const {
  if (is_block_) return std::nullopt;
  struct stat status;
  struct statvfs filesystem;
  if (fstat(fd_.get(), &status) != 0 || fstatvfs(fd_.get(), &filesystem) != 0) {
    throw_errno("cannot examine", name_);
  }
  // st_blocks counts 512 bytes whatever the filesystem's blocks are.
  return Backing{static_cast<uint64_t>(status.st_blocks) * 512,
                 uint64_t{filesystem.f_bavail} * filesystem.f_frsize};
}

void FileDevice::zero(ByteRange range) {
  if (range.empty()) return;
  require_inside(range);
  // Filesystems zero any byte; block devices take whole blocks.
  uint64_t unit =
      is_block_ ? std::max<uint64_t>(kCachePage, logical_block_size_) : 1;
  ByteRange middle{round_up(range.offset, unit), 0};
  uint64_t middle_end = range.end() / unit * unit;
  if (middle_end <= middle.offset) {
    write_zeroes(range);
    return;
  }
  middle.length = middle_end - middle.offset;
  write_zeroes({range.offset, middle.offset - range.offset});
  if (!deallocate(middle)) write_zeroes(middle);
  write_zeroes({middle_end, range.end() - middle_end});
}

// True: the range reads as zeroes now. False: it has to be written.
bool FileDevice::deallocate(ByteRange range) {
  // On a block device these are "write zeroes, may unmap, or refuse" and
  // "write zeroes, offloaded if possible"; both drop the cached pages.
  for (int mode : {FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE}) {
    int result = 0;
    do {
      result = fallocate(fd_.get(), mode | FALLOC_FL_KEEP_SIZE,
                         to_off(range.offset), to_off(range.length));
    } while (result != 0 && errno == EINTR);
    if (result == 0) return true;
    // EBUSY: pages of a block device that cannot be dropped at the moment.
    // EINVAL: a device whose blocks are larger than it says.
    bool refused = says_unsupported(errno) || errno == EBUSY || errno == EINVAL;
    if (!refused) fail(errno, "cannot zero", range.offset);
  }
  return false;
}

void FileDevice::write_zeroes(ByteRange range) {
  static constexpr std::array<std::byte, std::size_t{64} << 10> kZeroes{};
  while (!range.empty()) {
    uint64_t count = std::min<uint64_t>(range.length, kZeroes.size());
    transfer_out(range.offset, std::span(kZeroes).first(count), 0);
    range = {range.offset + count, range.length - count};
  }
}

BlockDevice::Extent FileDevice::extent_at(uint64_t offset) {
  uint64_t end = size();
  Extent rest{true, end > offset ? end - offset : kSectorBytes};
  if (is_block_) return rest;

  off_t data = lseek(fd_.get(), to_off(offset), SEEK_DATA);
  if (data < 0 && errno == ENXIO) return {false, rest.length};
  if (data < 0) return rest;  // This filesystem does not tell.
  if (data > to_off(offset)) {
    return {false, std::min(static_cast<uint64_t>(data) - offset, rest.length)};
  }
  off_t hole = lseek(fd_.get(), to_off(offset), SEEK_HOLE);
  // A hole may just have been punched here; then the caller asks again soon.
  if (hole <= to_off(offset)) {
    return {true, std::min(kSectorBytes, rest.length)};
  }
  return {true, std::min(static_cast<uint64_t>(hole) - offset, rest.length)};
}

void FileDevice::fail(int error, const char* verb, uint64_t offset) const {
  throw_errno(error, verb, name_ + " at byte " + std::to_string(offset));
}

}  // namespace snapfs

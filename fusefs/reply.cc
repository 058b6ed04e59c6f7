// SPDX-License-Identifier: MIT
#include "fusefs/reply.h"

#include <cerrno>

#include "core/error.h"
#include "core/table.h"
#include "fusefs/fuse_open.h"

namespace snapfs {

Reply::~Reply() {
  if (pending()) error(EIO);
}

void Reply::error(int error_number) noexcept {
  fuse_reply_err(take(), error_number);
}

void Reply::none() noexcept { fuse_reply_none(take()); }

void Reply::data(std::span<const std::byte> bytes) noexcept {
  fuse_reply_buf(take(), reinterpret_cast<const char*>(bytes.data()),
                 bytes.size());
}

void Reply::written(std::size_t count) noexcept {
  fuse_reply_write(take(), count);
}

void Reply::position(uint64_t offset) noexcept {
  fuse_reply_lseek(take(), static_cast<off_t>(offset));
}

void Reply::attributes(const struct stat& attributes, double timeout) noexcept {
  fuse_reply_attr(take(), &attributes, timeout);
}

void Reply::statistics(const struct statvfs& statistics) noexcept {
  fuse_reply_statfs(take(), &statistics);
}

void Reply::poll(unsigned events) noexcept { fuse_reply_poll(take(), events); }

bool Reply::entry(const fuse_entry_param& entry) noexcept {
  return fuse_reply_entry(take(), &entry) == 0;
}

bool Reply::open(uint64_t handle, uint32_t open_flags) noexcept {
  return reply_open(take(), handle, open_flags) == 0;
}

bool Reply::create(const fuse_entry_param& entry, uint64_t handle) noexcept {
  fuse_file_info info{};
  info.fh = handle;
  info.direct_io = 1;
  return fuse_reply_create(take(), &entry, &info) == 0;
}

void Reply::on_interrupt(fuse_interrupt_func_t function, void* data) noexcept {
  fuse_req_interrupt_func(request_, function, data);
}

int errno_of_current_error() noexcept {
  try {
    throw;
  } catch (const TableError& error) {
    return error.error();
  } catch (const std::exception& error) {
    return errno_of(error);
  } catch (...) {
    return EIO;
  }
}

}  // namespace snapfs

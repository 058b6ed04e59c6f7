// SPDX-License-Identifier: MIT
//
// The answer to one request of the kernel: given exactly once, by whichever
// thread owns the Reply then. libfuse frees the request even when sending
// fails, so a second answer would be a use after free; here it cannot be
// written. A Reply that is dropped answers EIO, so none can be forgotten.
// Movable, externally synchronised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <utility>

#include "fusefs/fuse.h"

namespace snapfs {

class Reply {
 public:
  Reply() = default;
  explicit Reply(fuse_req_t request) : request_(request) {}
  Reply(Reply&& other) noexcept
      : request_(std::exchange(other.request_, nullptr)) {}
  Reply& operator=(Reply&& other) noexcept {
    std::swap(request_, other.request_);
    return *this;
  }
  ~Reply();

  bool pending() const { return request_ != nullptr; }
  fuse_req_t request() const { return request_; }

  // Each of these answers. REQUIRES: pending().
  void ok() noexcept { error(0); }
  void error(int error_number) noexcept;
  void none() noexcept;  // FORGET has no answer, only an end
  void data(std::span<const std::byte> bytes) noexcept;
  void written(std::size_t count) noexcept;
  void position(uint64_t offset) noexcept;
  void attributes(const struct stat& attributes, double timeout) noexcept;
  void statistics(const struct statvfs& statistics) noexcept;
  void poll(unsigned events) noexcept;

  // These give the kernel something it will give back later (a lookup, a
  // handle). False: it never got it, and the caller has to undo.
  [[nodiscard]] bool entry(const fuse_entry_param& entry) noexcept;
  [[nodiscard]] bool open(uint64_t handle, uint32_t open_flags) noexcept;
  [[nodiscard]] bool create(const fuse_entry_param& entry,
                            uint64_t handle) noexcept;

  // Calls `function` when the kernel interrupts the request; null: no more. On
  // return from the latter, no call is running. REQUIRES: pending().
  void on_interrupt(fuse_interrupt_func_t function, void* data) noexcept;

 private:
  fuse_req_t take() noexcept { return std::exchange(request_, nullptr); }

  fuse_req_t request_ = nullptr;
};

// The errno that the user sees for the error being handled. REQUIRES: called
// inside a catch block. The one place where an error becomes an errno.
int errno_of_current_error() noexcept;

// Runs `body`; what it throws becomes the answer. The boundary between C++ and
// libfuse's C frames, and the top of every thread that answers requests.
template <typename Body>
void answer(Reply& reply, Body&& body) noexcept {
  try {
    body();
  } catch (...) {
    int error = errno_of_current_error();
    if (reply.pending()) reply.error(error);
  }
}

}  // namespace snapfs

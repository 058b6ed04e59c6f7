// SPDX-License-Identifier: MIT
#include "core/error.h"

#include <cerrno>
#include <new>

namespace snapfs {
namespace {

struct Entry {
  int error;
  const char* text;
};

// The errno table: the one place that decides what a user's program sees.
Entry entry_of(Errc code) {
  switch (code) {
    case Errc::snapshot_invalid:
      return {EIO, "the snapshot is invalid"};
    case Errc::snapshot_overflowed:
      return {EIO, "the snapshot has overflowed"};
    case Errc::store_full:
      return {EIO, "the exception store is full"};
    case Errc::cow_shrunk:
      return {EIO, "the COW device has shrunk"};
    case Errc::handed_over:
      return {EIO, "the exception store has been handed over"};
    case Errc::device_gone:
      return {EIO, "the device is gone"};
    case Errc::bad_metadata:
      return {EINVAL, "bad snapshot metadata"};
    case Errc::not_a_store:
      return {ENXIO, "not an exception store"};
    case Errc::bad_table:
      return {EINVAL, "bad table"};
    case Errc::busy:
      return {EBUSY, "in use"};
    case Errc::stale_store:
      return {ESTALE, "stale exception store"};
    case Errc::unsupported:
      return {EOPNOTSUPP, "not supported"};
    case Errc::beyond_end:
      return {ENOSPC, "beyond the end of the device"};
    case Errc::read_only:
      return {EROFS, "read-only"};
    case Errc::no_such_device:
      return {ENOENT, "no such device"};
  }
  return {EIO, "unknown error"};
}

class Category : public std::error_category {
 public:
  const char* name() const noexcept override { return "snapfs"; }
  std::string message(int value) const override {
    return entry_of(static_cast<Errc>(value)).text;
  }
  std::error_condition default_error_condition(
      int value) const noexcept override {
    return {entry_of(static_cast<Errc>(value)).error, std::generic_category()};
  }
};

}  // namespace

const std::error_category& error_category() {
  static const Category category;
  return category;
}

std::error_code make_error_code(Errc code) {
  return {static_cast<int>(code), error_category()};
}

void throw_errno(const std::string& what, const std::string& subject) {
  throw_errno(errno, what, subject);
}

void throw_errno(int error, const std::string& what,
                 const std::string& subject) {
  throw std::system_error(error, std::generic_category(), what + " " + subject);
}

int errno_of(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return ENOMEM;
  const auto* known = dynamic_cast<const std::system_error*>(&error);
  if (known == nullptr) return EIO;
  std::error_condition condition = known->code().default_error_condition();
  return condition.category() == std::generic_category() ? condition.value()
                                                         : EIO;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <new>
#include <stdexcept>

namespace snapfs::test {
namespace {

TEST(Error, each_code_has_its_errno) {
  struct {
    Errc code;
    int error;
  } const expected[] = {{Errc::snapshot_invalid, EIO},
                        {Errc::snapshot_overflowed, EIO},
                        {Errc::store_full, EIO},
                        {Errc::handed_over, EIO},
                        {Errc::device_gone, EIO},
                        {Errc::bad_metadata, EINVAL},
                        {Errc::not_a_store, ENXIO},
                        {Errc::bad_table, EINVAL},
                        {Errc::busy, EBUSY},
                        {Errc::stale_store, ESTALE},
                        {Errc::unsupported, EOPNOTSUPP},
                        {Errc::beyond_end, ENOSPC},
                        {Errc::read_only, EROFS},
                        {Errc::no_such_device, ENOENT}};

  for (const auto& each : expected) {
    std::system_error error(each.code, "x");
    EXPECT_EQ(errno_of(error), each.error) << error.what();
    EXPECT_NE(error.code().message(), "unknown error");
    EXPECT_STREQ(error.code().category().name(), "snapfs");
  }
}

TEST(Error, an_errno_stays_what_it_is) {
  for (int error : {EIO, ENOSPC, EUCLEAN, EROFS, ESTALE}) {
    try {
      throw_errno(error, "write", "/dev/x");
      FAIL() << "nothing was thrown";
    } catch (const std::system_error& caught) {
      EXPECT_EQ(errno_of(caught), error);
      EXPECT_EQ(std::string(caught.what()).rfind("write /dev/x: ", 0), 0u);
    }
  }
}

TEST(Error, other_errors_have_an_errno_too) {
  EXPECT_EQ(errno_of(std::bad_alloc()), ENOMEM);
  EXPECT_EQ(errno_of(std::runtime_error("x")), EIO);
  EXPECT_EQ(errno_of(std::system_error(
                std::make_error_code(std::errc::no_space_on_device))),
            ENOSPC);
}

}  // namespace
}  // namespace snapfs::test

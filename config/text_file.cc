// SPDX-License-Identifier: MIT
#include "config/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "config/messages.h"
#include "config/table_reader.h"
#include "core/unique_fd.h"

namespace snapfs {
namespace {

[[noreturn]] void fail_errno(const std::string& path, const char* what,
                             int error) {
  fail({path}, what + std::generic_category().message(error), error);
}

}  // namespace

std::string read_text_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) fail_errno(path, "cannot open: ", errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail_errno(path, "cannot stat: ", errno);
  if (!S_ISREG(status.st_mode)) fail({path}, "not a regular file");
  // One byte more than is allowed shows that there is too much. The size in
  // `status` is not to be relied on: the file may be growing.
  std::string text(kMaxTableBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    ssize_t count = ::read(fd.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_errno(path, "cannot read: ", errno);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  text.shrink_to_fit();
  return text;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "tests/fuzz/fake_kernel.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <utility>

#include "tests/fuzz/input.h"

namespace snapfs::test {
namespace {

// Whatever is asked for is done long before.
constexpr std::chrono::seconds kPatience{20};

}  // namespace

FakeKernel::FakeKernel(const fuse_lowlevel_ops& operations, void* userdata) {
  char name[] = "fuzz";
  char* arguments[] = {name, nullptr};
  fuse_args args = FUSE_ARGS_INIT(1, arguments);
  session_ = fuse_session_new(&args, &operations, sizeof(operations), userdata);
  fuse_opt_free_args(&args);
  current_ = this;
  static const fuse_custom_io io = {
      .writev = [](int, iovec* parts, int count,
                   void*) { return current_->take(parts, count); },
      .read = [](int, void*, std::size_t, void*) { return ssize_t{0}; },
      .splice_receive = nullptr,
      .splice_send = nullptr};
  fuse_session_custom_io(session_, &io,
                         ::open("/dev/null", O_RDWR | O_CLOEXEC));
  fuse_init_in init{};
  init.major = FUSE_KERNEL_VERSION;
  init.minor = 31;
  init.max_readahead = 1 << 17;
  wait(send(FUSE_INIT, 0, bytes_of(init)));
}

FakeKernel::~FakeKernel() {
  require(open_requests() == 0, "every request is answered");
  fuse_session_destroy(session_);
}

uint64_t FakeKernel::send(uint32_t opcode, uint64_t node,
                          std::string_view body) {
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(sizeof(header) + body.size());
  header.opcode = opcode;
  header.nodeid = node;
  header.uid = ::geteuid();
  header.gid = ::getegid();
  header.pid = static_cast<uint32_t>(process_);
  {
    MutexLock lock(mutex_);
    header.unique = ++last_;
    open_.insert(header.unique);
  }
  std::string message(bytes_of(header));
  message += body;
  fuse_buf buffer{};
  buffer.mem = message.data();
  buffer.size = message.size();
  fuse_session_process_buf(session_, &buffer);
  if (opcode == FUSE_FORGET) {
    MutexLock lock(mutex_);
    open_.erase(header.unique);
  }
  return header.unique;
}

bool FakeKernel::is_answered(uint64_t number) const {
  MutexLock lock(mutex_);
  return !open_.contains(number);
}

std::size_t FakeKernel::open_requests() const {
  MutexLock lock(mutex_);
  return open_.size();
}

FakeKernel::Answer FakeKernel::wait(uint64_t number) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (open_.contains(number)) {
    answered_.wait_until(mutex_, deadline);
    require(std::chrono::steady_clock::now() < deadline,
            "an answer comes: " + std::to_string(number));
  }
  auto answer = answers_.extract(number);
  return answer.empty() ? Answer{} : std::move(answer.mapped());
}

ssize_t FakeKernel::take(const iovec* parts, int count) {
  std::string message;
  for (int i = 0; i < count; ++i) {
    message.append(static_cast<const char*>(parts[i].iov_base),
                   parts[i].iov_len);
  }
  fuse_out_header header;
  require(message.size() >= sizeof(header), "an answer has a header");
  std::memcpy(&header, message.data(), sizeof(header));
  require(header.len == message.size(), "an answer has its length");
  MutexLock lock(mutex_);
  if (header.unique != 0) {  // else a notification
    require(open_.erase(header.unique) == 1, "one answer to each request");
    require(header.error <= 0 && header.error > -1000, "an errno");
    answers_[header.unique] = {-header.error, message.substr(sizeof(header))};
    answered_.notify_all();
  }
  return static_cast<ssize_t>(message.size());
}

}  // namespace snapfs::test

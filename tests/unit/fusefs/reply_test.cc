// SPDX-License-Identifier: MIT
//
// Answers, seen as the kernel sees them: a session of libfuse whose reads and
// writes end in this test.
#include "fusefs/reply.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/table.h"
#include "fusefs/fuse_open.h"

namespace snapfs {
namespace {

class FakeKernel {
 public:
  struct Answer {
    uint64_t unique;
    int error;
    std::vector<char> data;
  };

  explicit FakeKernel(std::function<void(fuse_req_t)> on_getattr)
      : on_getattr_(std::move(on_getattr)) {
    fuse_lowlevel_ops ops{};
    ops.getattr = [](fuse_req_t request, fuse_ino_t, fuse_file_info*) {
      static_cast<FakeKernel*>(fuse_req_userdata(request))
          ->on_getattr_(request);
    };
    char name[] = "test";
    char* arguments[] = {name, nullptr};
    fuse_args args = FUSE_ARGS_INIT(1, arguments);
    session_ = fuse_session_new(&args, &ops, sizeof(ops), this);
    fuse_opt_free_args(&args);
    current_ = this;
    static const fuse_custom_io io = {
        .writev = [](int, iovec* parts, int count,
                     void*) { return current_->take(parts, count); },
        .read = [](int, void*, std::size_t, void*) { return ssize_t{0}; },
        .splice_receive = nullptr,
        .splice_send = nullptr};
    fuse_session_custom_io(session_, &io, ::open("/dev/null", O_RDWR));
    fuse_init_in init{};
    init.major = FUSE_KERNEL_VERSION;
    init.minor = 31;
    send(FUSE_INIT, &init, sizeof(init));
    answers_.clear();
  }
  ~FakeKernel() { fuse_session_destroy(session_); }
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;

  void send_getattr() {
    fuse_getattr_in in{};
    send(FUSE_GETATTR, &in, sizeof(in));
  }
  void fail_with(int error) { error_ = error; }
  const std::vector<Answer>& answers() const { return answers_; }

 private:
  void send(uint32_t opcode, const void* body, std::size_t size) {
    std::vector<char> message(sizeof(fuse_in_header) + size);
    fuse_in_header header{};
    header.len = static_cast<uint32_t>(message.size());
    header.opcode = opcode;
    header.unique = ++unique_;
    header.nodeid = 1;
    std::memcpy(message.data(), &header, sizeof(header));
    std::memcpy(message.data() + sizeof(header), body, size);
    fuse_buf buffer{};
    buffer.mem = message.data();
    buffer.size = message.size();
    fuse_session_process_buf(session_, &buffer);
  }

  ssize_t take(const iovec* parts, int count) {
    std::vector<char> message;
    for (int i = 0; i < count; ++i) {
      const auto* begin = static_cast<const char*>(parts[i].iov_base);
      message.insert(message.end(), begin, begin + parts[i].iov_len);
    }
    fuse_out_header header;
    std::memcpy(&header, message.data(), sizeof(header));
    answers_.push_back(
        {header.unique, -header.error,
         std::vector<char>(message.begin() + sizeof(header), message.end())});
    if (error_ != 0) {
      errno = error_;
      return -1;
    }
    return static_cast<ssize_t>(message.size());
  }

  static inline FakeKernel* current_ = nullptr;
  std::function<void(fuse_req_t)> on_getattr_;
  fuse_session* session_ = nullptr;
  uint64_t unique_ = 0;
  int error_ = 0;
  std::vector<Answer> answers_;
};

// The answers to one request that `body` handles.
std::vector<FakeKernel::Answer> answers_of(
    const std::function<void(Reply&)>& body) {
  FakeKernel kernel([&](fuse_req_t request) {
    Reply reply(request);
    answer(reply, [&] { body(reply); });
  });
  kernel.send_getattr();
  return kernel.answers();
}

int error_of(const std::function<void(Reply&)>& body) {
  std::vector<FakeKernel::Answer> answers = answers_of(body);
  EXPECT_EQ(1U, answers.size());
  return answers.empty() ? -1 : answers.front().error;
}

TEST(Reply, dropped_reply_answers_EIO) {
  EXPECT_EQ(EIO, error_of([](Reply&) {}));
}

TEST(Reply, moved_reply_answers_once) {
  EXPECT_EQ(0, error_of([](Reply& reply) {
              Reply other(std::move(reply));
              // What a moved reply does is the question.
              // NOLINTNEXTLINE(bugprone-use-after-move,hicpp-invalid-access-moved)
              EXPECT_FALSE(reply.pending());
              other.ok();
              EXPECT_FALSE(other.pending());
            }));
}

TEST(Reply, reply_can_be_given_by_another_thread) {
  EXPECT_EQ(ENXIO, error_of([](Reply& reply) {
              std::thread([other = std::move(reply)]() mutable {
                other.error(ENXIO);
              }).join();
            }));
}

TEST(Reply, thrown_error_becomes_its_errno) {
  EXPECT_EQ(ENOSPC, error_of([](Reply&) {
              throw std::system_error(Errc::beyond_end);
            }));
  EXPECT_EQ(EPERM, error_of([](Reply&) { throw_errno(EPERM, "a", "b"); }));
  EXPECT_EQ(ENOMEM, error_of([](Reply&) { throw std::bad_alloc(); }));
  EXPECT_EQ(EBUSY,
            error_of([](Reply&) { throw TableError({}, "held", EBUSY); }));
  EXPECT_EQ(EIO, error_of([](Reply&) { throw std::logic_error("?"); }));
  // Whatever is thrown.
  // NOLINTNEXTLINE(hicpp-exception-baseclass)
  EXPECT_EQ(EIO, error_of([](Reply&) { throw 42; }));
}

TEST(Reply, error_after_the_answer_is_not_a_second_answer) {
  EXPECT_EQ(0, error_of([](Reply& reply) {
              reply.ok();
              throw std::logic_error("too late");
            }));
}

TEST(Reply, open_answer_carries_flags_that_libfuse_has_no_bit_for) {
  std::vector<FakeKernel::Answer> answers = answers_of([](Reply& reply) {
    EXPECT_TRUE(reply.open(17, kOpenDirectIo | kOpenParallelDirectWrites));
  });
  ASSERT_EQ(1U, answers.size());
  ASSERT_EQ(sizeof(fuse_open_out), answers[0].data.size());
  fuse_open_out out;
  std::memcpy(&out, answers[0].data.data(), sizeof(out));
  EXPECT_EQ(17U, out.fh);
  EXPECT_EQ(0x41U, out.open_flags);
}

TEST(Reply, answer_that_the_kernel_did_not_take_is_reported_and_not_repeated) {
  FakeKernel kernel([&](fuse_req_t request) {
    Reply reply(request);
    EXPECT_FALSE(reply.open(1, 0));
    EXPECT_FALSE(reply.pending());
  });
  kernel.fail_with(ENOENT);
  kernel.send_getattr();
  EXPECT_EQ(1U, kernel.answers().size());
}

}  // namespace
}  // namespace snapfs

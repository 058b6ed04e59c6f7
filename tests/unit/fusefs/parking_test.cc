// SPDX-License-Identifier: MIT
//
// Requests on a device whose gate is closed, on a real mount: they wait, hold
// no thread, and end when the gate opens, their sender dies or the mount ends.
#include <linux/falloc.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <thread>

#include "tests/unit/fusefs/mounted_tree.h"

namespace snapfs::test {
namespace {

// A gate that is closed until open(), or until the scope ends: declared after
// the descriptors, whose closing may have to pass it.
class ClosedGate {
 public:
  explicit ClosedGate(Admission& gate) : gate_(gate) {
    gate_.close();
    gate_.drain();
  }
  ~ClosedGate() {
    if (closed_) open();
  }
  ClosedGate(const ClosedGate&) = delete;
  ClosedGate& operator=(const ClosedGate&) = delete;

  void open() {
    closed_ = false;
    gate_.open();
  }
  std::size_t parked() const { return gate_.parked_count(); }
  void wait_until_parked(std::size_t count) const {
    eventually([&] { return parked() == count; });
  }
  void wake_all() { gate_.wake_all(); }

 private:
  Admission& gate_;
  bool closed_ = true;
};

class Parking : public MountedTest {
 protected:
  Admission& base() { return tree().devices().find("base")->admission(); }
};

// A signal whose handler has to wait for the system call it came into.
void wait_until_pending(pid_t process, int signal) {
  eventually([&] {
    std::string status =
        read_file("/proc/" + std::to_string(process) + "/status");
    std::size_t at = status.find("ShdPnd:");
    if (at == std::string::npos) return false;
    uint64_t pending = std::stoull(status.substr(at + 7), nullptr, 16);
    return (pending >> (signal - 1) & 1) != 0;
  });
}

TEST_F(Parking, read_and_write_wait_for_the_gate) {
  UniqueFd fd = open_file(tree().path("base"), O_RDWR);
  ClosedGate gate(base());
  Waiters waiters(tree());
  waiters.start([&] { EXPECT_EQ(3, ::pwrite(fd.get(), "new", 3, 0)); });
  gate.wait_until_parked(1);
  waiters.start([&] {
    char byte = '?';
    EXPECT_EQ(1, ::pread(fd.get(), &byte, 1, 4096));
    EXPECT_EQ('\0', byte);
  });
  gate.wait_until_parked(2);
  gate.open();
  waiters.join();
  char text[3];
  ASSERT_EQ(3, ::pread(fd.get(), text, 3, 0));
  EXPECT_EQ("new", std::string(text, 3));
}

TEST_F(Parking, request_that_is_woken_too_early_waits_again) {
  UniqueFd fd = open_file(tree().path("base"), O_RDWR);
  ClosedGate gate(base());
  Waiters waiters(tree());
  waiters.start([&] {
    char byte = 0;
    EXPECT_EQ(1, ::pread(fd.get(), &byte, 1, 0));
  });
  gate.wait_until_parked(1);
  for (int i = 0; i < 100; ++i) {
    gate.wake_all();
    gate.wait_until_parked(1);
  }
  gate.open();
  waiters.join();
}

// Far more than there are threads to serve them.
TEST_F(Parking, parked_requests_hold_no_thread) {
  constexpr int kCount = 300;
  UniqueFd fd = open_file(tree().path("base"), O_RDONLY);
  ClosedGate gate(base());
  Waiters waiters(tree());
  for (int i = 0; i < kCount; ++i) {
    waiters.start([&] {
      char byte = 0;
      EXPECT_EQ(1, ::pread(fd.get(), &byte, 1, 0));
    });
  }
  gate.wait_until_parked(kCount);
  UniqueFd other = open_file(tree().path("snap"), O_RDONLY);
  UniqueFd same = open_file(tree().path("base"), O_RDONLY);
  EXPECT_EQ("base\nsnap\n", shell(tree().path(), "ls").output);
  EXPECT_EQ("live\n", read_file(tree().path(".control/state/base")));
  gate.open();
  waiters.join();
}

TEST_F(Parking, closing_what_was_only_read_does_not_wait) {
  UniqueFd writer = open_file(tree().path("base"), O_RDWR);
  ASSERT_EQ(1, ::pwrite(writer.get(), "x", 1, 0));
  UniqueFd reader = open_file(tree().path("base"), O_RDONLY);
  ClosedGate gate(base());
  reader.reset();
  EXPECT_EQ(0U, gate.parked());
}

TEST_F(Parking, killed_process_gets_out) {
  UniqueFd fd = open_file(tree().path("base"), O_RDWR);
  ClosedGate gate(base());
  for (int signal : {SIGKILL, SIGTERM, SIGQUIT}) {
    Child child([&] {
      // A shell that starts something in the background lets it ignore some.
      if (signal != SIGKILL) ::signal(signal, SIG_DFL);
      char byte = 0;
      return ::pread(fd.get(), &byte, 1, 0) == 1 ? 0 : 1;
    });
    gate.wait_until_parked(1);
    ::kill(child.pid(), signal);
    int status = child.wait();
    EXPECT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(signal, WTERMSIG(status));
    gate.wait_until_parked(0);
  }
}

TEST_F(Parking, handled_signal_does_not_end_a_request) {
  UniqueFd fd = open_file(tree().path("base"), O_RDWR);
  ClosedGate gate(base());
  Child child([&] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR2, &action, nullptr);
    return ::pwrite(fd.get(), "k", 1, 0) == 1 ? 0 : 1;
  });
  gate.wait_until_parked(1);
  ::kill(child.pid(), SIGUSR2);
  wait_until_pending(child.pid(), SIGUSR2);
  gate.open();
  int status = child.wait();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(0, WEXITSTATUS(status));
}

// The kernel passes only the first signal on.
TEST_F(Parking, process_killed_after_a_handled_signal_gets_out) {
  UniqueFd fd = open_file(tree().path("base"), O_RDWR);
  ClosedGate gate(base());
  Child child([&] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR2, &action, nullptr);
    char byte = 0;
    return ::pread(fd.get(), &byte, 1, 0) == 1 ? 0 : 1;
  });
  gate.wait_until_parked(1);
  ::kill(child.pid(), SIGUSR2);
  wait_until_pending(child.pid(), SIGUSR2);
  ::kill(child.pid(), SIGKILL);
  int status = child.wait();
  EXPECT_TRUE(WIFSIGNALED(status)) << status;
  gate.wait_until_parked(0);
}

TEST_F(Parking, shut_down_answers_what_is_parked) {
  UniqueFd fd = open_file(tree().path("base"), O_RDWR);
  ClosedGate gate(base());
  Waiters waiters(tree());
  for (int i = 0; i < 20; ++i) {
    waiters.start([&] {
      char byte = 0;
      EXPECT_EQ(EIO, error_of(::pread(fd.get(), &byte, 1, 0)));
    });
  }
  gate.wait_until_parked(20);
  tree().filesystem().shut_down();
  waiters.join();
  char byte = 0;
  EXPECT_EQ(EIO, error_of(::pread(fd.get(), &byte, 1, 0)));
}

TEST_F(Parking, parked_flush_reports_to_close) {
  UniqueFd fd = open_file(tree().path("base"), O_RDWR);
  ASSERT_EQ(1, ::pwrite(fd.get(), "x", 1, 0));
  tree().origin().reset_counts();
  ClosedGate gate(base());
  Waiters waiters(tree());
  waiters.start([&] { EXPECT_EQ(0, ::close(fd.release())); });
  gate.wait_until_parked(1);
  EXPECT_EQ(0U, tree().origin().counts().flushes);
  gate.open();
  waiters.join();
  EXPECT_GT(tree().origin().counts().flushes, 0U);
}

// A gate that closes while a long request is at work waits for a piece of it,
// and the rest of it waits for the gate.
TEST_F(Parking, long_request_is_carried_out_in_pieces) {
  constexpr uint64_t kBytes = uint64_t{256} << 20;
  auto device = std::make_shared<CountingDevice>(
      std::make_shared<MemoryDevice>(kBytes, "/big"));
  tree().add_device("/big", device);
  tree().load("big", "target: snapshot-origin\ndevice: /big\n");
  Admission& big = tree().devices().find("big")->admission();
  UniqueFd fd = open_file(tree().path("big"), O_RDWR);
  ASSERT_EQ(1, ::pwrite(fd.get(), "x", 1, kBytes - 1));
  device->hold(kAnyWrite | kZero);
  std::thread zeroing([&] {
    EXPECT_EQ(0, error_of(::fallocate(
                     fd.get(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0,
                     kBytes)));
  });
  device->wait_until_held(kAnyWrite | kZero, 1);
  big.close();
  device->release();
  big.drain();
  eventually([&] { return big.parked_count() == 1; });
  std::byte last{};
  device->read(kBytes - 1, {&last, 1});
  EXPECT_EQ(std::byte{'x'}, last);
  big.open();
  zeroing.join();
  char byte = '?';
  ASSERT_EQ(1, ::pread(fd.get(), &byte, 1, kBytes - 1));
  EXPECT_EQ('\0', byte);
}

}  // namespace
}  // namespace snapfs::test

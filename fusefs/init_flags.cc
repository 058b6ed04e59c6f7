// SPDX-License-Identifier: MIT
#include "fusefs/init_flags.h"

#include <linux/fuse.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "core/error.h"
#include "fusefs/kernel_order.h"

// From 3.17 on libfuse knows all flags of the protocol by itself.
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
#define SNAPFS_LIBFUSE_SETS_ALL_FLAGS 1
#else
#define SNAPFS_LIBFUSE_SETS_ALL_FLAGS 0
#endif

namespace snapfs {
namespace {

// Bit 36 of the INIT flags; younger than some kernel headers.
constexpr uint64_t kDirectIoAllowMmap = uint64_t{1} << 36;

constexpr unsigned kMaxWriteBytes = 1u << 20;
// What a 16-bit field can hold. Requests that wait on a frozen device count
// against it: at the default of 12 they would soon stop every other device.
constexpr unsigned kMaxBackground = 65535;

// What must survive from reading INIT to answering it.
struct Handshake {
  const fuse_lowlevel_ops* operations = nullptr;
  uint64_t unique = 0;  // of the INIT request; 0 = not read yet
  uint64_t kernel_flags = 0;
  InitOutcome outcome;
};

// The hooks and the callback get the file system's userdata only, and INIT is
// served by the thread that called answer_init(). Null everywhere else.
thread_local Handshake* handshake = nullptr;

void set_limits(fuse_conn_info& connection) {
  connection.max_write = std::min(connection.max_write, kMaxWriteBytes);
  connection.max_background = kMaxBackground;
  // Above it the kernel leaves off reading ahead.
  connection.congestion_threshold = kMaxBackground / 4 * 3;
}

constexpr unsigned kWanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC |
                             FUSE_CAP_PARALLEL_DIROPS |
                             // Lets libaio have many requests under way. It
                             // would make O_DIRECT users of files opened
                             // *without* direct I/O unkillable while they wait.
                             FUSE_CAP_ASYNC_DIO;

// Without write-back only writable shared mappings ever hold dirty pages. What
// the page cache holds is told to be stale by us, not guessed from times.
constexpr unsigned kUnwanted = FUSE_CAP_WRITEBACK_CACHE |
                               FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ |
                               FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;

#if SNAPFS_LIBFUSE_SETS_ALL_FLAGS

void choose_flags(fuse_conn_info& connection) {
  for (unsigned bit = 0; bit < 32; ++bit) {
    const unsigned flag = 1u << bit;
    if (kWanted & flag) fuse_set_feature_flag(&connection, flag);
    if (kUnwanted & flag) fuse_unset_feature_flag(&connection, flag);
  }
  const bool mmap =
      fuse_set_feature_flag(&connection, FUSE_CAP_DIRECT_IO_ALLOW_MMAP);
  if (handshake) handshake->outcome.direct_io_mmap = mmap;
}

void install_hooks(fuse_session*) {}

#else

void choose_flags(fuse_conn_info& connection) {
  connection.want |= kWanted & connection.capable;
  connection.want &= ~kUnwanted;
}

void note_init_request(const void* buffer, std::size_t size) {
  struct {
    fuse_in_header header;
    fuse_init_in init;
  } request{};
  std::memcpy(&request, buffer, std::min(size, sizeof request));
  if (size < sizeof request.header || request.header.opcode != FUSE_INIT)
    return;
  handshake->unique = request.header.unique;
  handshake->kernel_flags = request.init.flags;
  // flags2 means something only together with this bit.
  if (request.init.flags & FUSE_INIT_EXT)
    handshake->kernel_flags |= uint64_t{request.init.flags2} << 32;
}

struct InitReply {
  fuse_out_header header;
  fuse_init_out init;
};

// Adds what libfuse could not ask for. False: not an INIT reply that could
// carry it, or the kernel does not know the flag.
bool complete_init_reply(std::vector<std::byte>& reply) {
  InitReply init;
  if (reply.size() != sizeof init) return false;
  std::memcpy(&init, reply.data(), sizeof init);
  if (init.header.unique != handshake->unique || init.header.error != 0)
    return false;
  if (!(handshake->kernel_flags & kDirectIoAllowMmap)) return false;
  init.init.flags |= FUSE_INIT_EXT;
  init.init.flags2 |= static_cast<uint32_t>(kDirectIoAllowMmap >> 32);
  std::memcpy(reply.data(), &init, sizeof init);
  return true;
}

std::vector<std::byte> gather(const iovec* parts, int count) {
  std::vector<std::byte> bytes;
  for (const iovec& part : std::span(parts, static_cast<std::size_t>(count))) {
    const auto* begin = static_cast<const std::byte*>(part.iov_base);
    bytes.insert(bytes.end(), begin, begin + part.iov_len);
  }
  return bytes;
}

// Not noexcept: libfuse cancels its threads while they wait in read(), which
// unwinds through here.
ssize_t read_request(int fd, void* buffer, std::size_t size, void*) {
  const ssize_t count = ::read(fd, buffer, size);
  after_request();
  if (handshake && count > 0)
    note_init_request(buffer, static_cast<std::size_t>(count));
  return count;
}

ssize_t write_reply(int fd, iovec* parts, int count, void*) {
  if (!handshake || handshake->unique == 0) {
    before_answer();
    // Not by writev(3): sanitizers look at the parts when it has returned. By
    // then the asker has its answer, and may have closed the file they are in.
    return ::syscall(SYS_writev, fd, parts, count);
  }
  std::vector<std::byte> reply = gather(parts, count);
  const bool completed = complete_init_reply(reply);
  const ssize_t written = ::write(fd, reply.data(), reply.size());
  if (completed && written == static_cast<ssize_t>(reply.size()))
    handshake->outcome.direct_io_mmap = true;
  return written;
}

// The hooks stay for the session's life: after the handshake they add a test
// of a thread-local pointer to each system call.
void install_hooks(fuse_session* session) {
  fuse_custom_io io{};
  io.read = read_request;
  io.writev = write_reply;
  const int result =
      fuse_session_custom_io(session, &io, fuse_session_fd(session));
  if (result != 0) throw_errno(-result, "fuse_session_custom_io", "");
}

#endif

void on_init(void* userdata, fuse_conn_info* connection) {
  set_limits(*connection);
  choose_flags(*connection);
  if (handshake && handshake->operations->init)
    handshake->operations->init(userdata, connection);
}

// The first request, whole; its memory belongs to the caller.
void receive_first(fuse_session* session, fuse_buf& buffer) {
  int size = 0;
  do {
    size = fuse_session_receive_buf(session, &buffer);
  } while (size == -EINTR || size == -EAGAIN);
  if (size < 0) throw_errno(-size, "read", "/dev/fuse");
  if (size == 0) throw_errno(ENODEV, "read", "/dev/fuse");
}

// Tells the hooks and the callback that this thread is at it.
class HandshakeScope {
 public:
  explicit HandshakeScope(Handshake& current) { handshake = &current; }
  ~HandshakeScope() { handshake = nullptr; }
  HandshakeScope(const HandshakeScope&) = delete;
  HandshakeScope& operator=(const HandshakeScope&) = delete;
};

}  // namespace

fuse_lowlevel_ops with_init(const fuse_lowlevel_ops& operations) {
  fuse_lowlevel_ops ours = operations;
  ours.init = on_init;
  return ours;
}

InitOutcome answer_init(fuse_session* session,
                        const fuse_lowlevel_ops& operations) {
  install_hooks(session);
  Handshake current;
  current.operations = &operations;
  const HandshakeScope scope(current);
  fuse_buf buffer{};
  // libfuse has allocated it.
  // NOLINTNEXTLINE(cppcoreguidelines-no-malloc,hicpp-no-malloc)
  const auto free_memory = [](fuse_buf* used) { std::free(used->mem); };
  const std::unique_ptr<fuse_buf, decltype(free_memory)> memory(&buffer,
                                                                free_memory);
  receive_first(session, buffer);
  fuse_session_process_buf(session, &buffer);
  // libfuse ends the session if it does not agree with the kernel.
  if (fuse_session_exited(session))
    throw_errno(EPROTO, "FUSE handshake with the kernel", "");
  return current.outcome;
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/device_node.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "core/error.h"
#include "fusefs/device_catalog.h"
#include "fusefs/device_job.h"

namespace snapfs {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class DeviceHandle : public Handle {
 public:
  using Kind = DeviceRequest::Kind;

  // REQUIRES: the device has been opened for us.
  DeviceHandle(std::shared_ptr<DeviceNode> node, int access,
               uint32_t open_flags)
      : node_(std::move(node)),
        writes_(access != O_RDONLY),
        is_mappable_(access == O_RDWR),
        open_flags_(open_flags) {
    if (is_mappable_) node_->mappable_opened();
  }
  ~DeviceHandle() override {
    if (is_mappable_) node_->mappable_closed();
    node_->closed();
  }

  uint32_t open_flags() const override { return open_flags_; }

  void read(Reply& reply, uint64_t offset, std::size_t size, int) override {
    DeviceJob::start(node_, reply,
                     {.kind = Kind::read, .offset = offset, .length = size});
  }

  void write(Reply& reply, uint64_t offset, std::span<const std::byte> data,
             int flags) override {
    DeviceJob::start(node_, reply,
                     {.kind = Kind::write,
                      .offset = offset,
                      .length = data.size(),
                      .data = data,
                      .durable = (flags & O_DSYNC) != 0});
  }

  // Who cannot have written has nothing to wait for at close.
  void flush(Reply& reply) override { writes_ ? sync(reply) : reply.ok(); }

  void sync(Reply& reply) override {
    if (node_->is_clean()) return reply.ok();
    DeviceJob::start(node_, reply, {.kind = Kind::flush});
  }

  void allocate(Reply& reply, int mode, uint64_t offset,
                uint64_t length) override;
  void seek(Reply& reply, uint64_t offset, int whence) override;

 private:
  const std::shared_ptr<DeviceNode> node_;
  const bool writes_;
  const bool is_mappable_;  // shared, to be written
  const uint32_t open_flags_;
};

// As a block device: no reservation of space (mode 0), since neither a COW nor
// a sparse origin could keep that promise.
void DeviceHandle::allocate(Reply& reply, int mode, uint64_t offset,
                            uint64_t length) {
  DeviceRequest request{.offset = offset,
                        .length = length,
                        .keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0};
  switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case FALLOC_FL_PUNCH_HOLE:
      request.kind = Kind::discard;
      break;
    case FALLOC_FL_ZERO_RANGE:
      request.kind = Kind::zero;
      break;
    default:
      refuse(EOPNOTSUPP);
  }
  DeviceJob::start(node_, reply, request);
}

void DeviceHandle::seek(Reply& reply, uint64_t offset, int whence) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) refuse(EINVAL);
  Kind kind = whence == SEEK_DATA ? Kind::seek_data : Kind::seek_hole;
  DeviceJob::start(node_, reply, {.kind = kind, .offset = offset});
}

}  // namespace

DeviceNode::DeviceNode(TreeContext& context, DeviceCatalog& catalog,
                       std::shared_ptr<Device> device)
    : Node(context.new_inodes(kInodes)),
      context_(context),
      catalog_(catalog),
      device_(std::move(device)),
      modified_(now()) {}

DeviceOutcome DeviceNode::carry_out(Target& target, DeviceRequest& request) {
  DeviceOutcome outcome = snapfs::carry_out(target, mark_, request);
  using Kind = DeviceRequest::Kind;
  if (request.kind == Kind::write || request.kind == Kind::zero ||
      request.kind == Kind::discard) {
    modified_ = now();
  }
  return outcome;
}

void DeviceNode::closed() noexcept { catalog_.close(*this); }

std::size_t DeviceNode::abort_parked() {
  // In this order: what parks too late to be woken here sees the count.
  ++abort_count_;
  const std::size_t count = device_->admission().parked_count() +
                            static_cast<std::size_t>(waiting_for_room());
  device_->admission().wake_all();
  return count;
}

bool DeviceNode::is_read_only() const {
  std::shared_ptr<Target> target = device_->live();
  return context_.options.read_only ||
         (target != nullptr && target->read_only());
}

struct stat DeviceNode::attributes() const {
  std::shared_ptr<Target> target = device_->live();
  std::shared_ptr<const Table> table = device_->live_table();
  if (target != nullptr) last_size_ = target->size();
  FileAttributes wanted;
  if (table != nullptr) wanted = table->attributes;
  mode_t mode = wanted.mode.value_or(0600) & 07777;
  if (is_read_only()) mode &= ~mode_t{0222};
  struct stat result = context_.attributes(inode(), S_IFREG | mode, last_size_);
  result.st_uid = wanted.uid.value_or(result.st_uid);
  result.st_gid = wanted.gid.value_or(result.st_gid);
  result.st_blocks = static_cast<blkcnt_t>(
      target != nullptr ? target->allocated_sectors() : 0);
  int64_t modified = modified_;
  result.st_mtim = {
      static_cast<time_t>(modified / kNanoseconds),
      static_cast<decltype(timespec::tv_nsec)>(modified % kNanoseconds)};
  result.st_atim = result.st_ctim = result.st_mtim;
  return result;
}

// With direct I/O for everybody a parked request never blocks an open, and
// writers go on in parallel. Where the kernel cannot map such files, only those
// who ask for direct I/O get it.
uint32_t DeviceNode::open_flags(int flags) const {
  bool direct = context_.direct_io_mmap || (flags & O_DIRECT) != 0;
  return direct ? kOpenDirectIo | kOpenParallelDirectWrites : kOpenKeepCache;
}

std::unique_ptr<Handle> DeviceNode::open(const Caller&, int flags) {
  bool writes = opens_for_writing(flags);
  if (writes && is_read_only()) throw std::system_error(Errc::read_only);
  auto self = std::static_pointer_cast<DeviceNode>(shared_from_this());
  catalog_.open(*this);
  try {
    return std::make_unique<DeviceHandle>(self, flags & O_ACCMODE,
                                          open_flags(flags));
  } catch (...) {
    closed();
    throw;
  }
}

// A file of fixed size whose mode and owner come from its table: what is asked
// for is granted if it is so already. Times may be set, as on a device node.
void DeviceNode::set_attributes(const struct stat& wanted, int what, Handle*,
                                const Caller&) {
  struct stat current = attributes();
  bool changes =
      ((what & FUSE_SET_ATTR_SIZE) != 0 && wanted.st_size != current.st_size) ||
      ((what & FUSE_SET_ATTR_MODE) != 0 &&
       (wanted.st_mode & 07777) != (current.st_mode & 07777)) ||
      ((what & FUSE_SET_ATTR_UID) != 0 && wanted.st_uid != current.st_uid) ||
      ((what & FUSE_SET_ATTR_GID) != 0 && wanted.st_gid != current.st_gid);
  if (changes) refuse(EPERM);
  if ((what & FUSE_SET_ATTR_MTIME_NOW) != 0) {
    modified_ = now();
  } else if ((what & FUSE_SET_ATTR_MTIME) != 0) {
    modified_ = wanted.st_mtim.tv_sec * kNanoseconds + wanted.st_mtim.tv_nsec;
  }
}

}  // namespace snapfs

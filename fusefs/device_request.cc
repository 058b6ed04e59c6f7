// SPDX-License-Identifier: MIT
#include "fusefs/device_request.h"

#include <algorithm>
#include <memory>
#include <new>

#include "core/chunk.h"
#include "core/error.h"

namespace snapfs {
namespace {

// Zeroes and discards may have to be written. Short enough for whoever waits
// for the piece, and rarely inside a chunk, which would have to be copied.
constexpr uint64_t kPieceBytes = uint64_t{64} << 20;
constexpr unsigned kExtentsPerPiece = 4096;

// Memory of this thread, aligned for direct I/O. Grows to the largest request
// seen, which the kernel keeps at 1 MiB.
std::span<std::byte> thread_buffer(std::size_t size) {
  constexpr std::align_val_t kAlignment{4096};
  struct Free {
    void operator()(std::byte* memory) const {
      ::operator delete(memory, kAlignment);
    }
  };
  thread_local std::unique_ptr<std::byte, Free> memory;
  thread_local std::size_t capacity = 0;
  if (capacity < size) {
    memory.reset();
    capacity = 0;
    memory.reset(static_cast<std::byte*>(::operator new(size, kAlignment)));
    capacity = size;
  }
  return {memory.get(), size};
}

DeviceOutcome read(Target& target, const DeviceRequest& request) {
  ByteRange range = clip({request.offset, request.length}, target.size());
  if (range.empty()) return {};
  std::span<std::byte> buffer = thread_buffer(range.length);
  target.read(range.offset, buffer);
  return {.data = buffer};
}

// Counts the write when it is over, whether it succeeded or not: a failed one
// may have changed something, and its error belongs to the next flush as well.
class Counted {
 public:
  explicit Counted(FlushMark& mark) : mark_(mark) {}
  ~Counted() { mark_.wrote(); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  FlushMark& mark_;
};

DeviceOutcome write(Target& target, FlushMark& mark,
                    const DeviceRequest& request) {
  if (request.data.empty()) return {};
  ByteRange range = clip({request.offset, request.data.size()}, target.size());
  if (range.empty()) throw std::system_error(Errc::beyond_end);
  {
    Counted counted(mark);
    target.write(range.offset, request.data.first(range.length));
  }
  if (request.durable) mark.flush([&] { target.flush(); });
  return {.value = range.length};
}

DeviceOutcome clear(Target& target, FlushMark& mark, DeviceRequest& request) {
  ByteRange whole = {request.offset, request.length};
  if (!request.keep_size && whole.end() > target.size()) {
    throw std::system_error(Errc::beyond_end);
  }
  bool discard = request.kind == DeviceRequest::Kind::discard;
  ByteRange rest = clip(whole, target.size());
  uint64_t piece_end = (rest.offset / kPieceBytes + 1) * kPieceBytes;
  ByteRange range = clip(rest, piece_end);
  if (!range.empty()) {
    Counted counted(mark);
    discard ? target.discard(range) : target.zero(range);
  }
  request.offset = range.end();
  request.length = rest.end() - range.end();
  return {.finished = request.length == 0};
}

// Stops early with "not finished" rather than walk through millions of extents
// in one go.
DeviceOutcome seek(Target& target, DeviceRequest& request) {
  bool wanted = request.kind == DeviceRequest::Kind::seek_data;
  uint64_t size = target.size();
  if (request.offset >= size) {
    throw std::system_error(ENXIO, std::generic_category());
  }
  for (unsigned i = 0; i < kExtentsPerPiece; ++i) {
    BlockDevice::Extent extent = target.extent_at(request.offset);
    if (extent.is_data == wanted) return {.value = request.offset};
    request.offset += extent.length;
    if (request.offset < size) continue;
    // Every file ends in a hole, but not in data.
    if (!wanted) return {.value = size};
    throw std::system_error(ENXIO, std::generic_category());
  }
  return {.finished = false};
}

}  // namespace

DeviceOutcome carry_out(Target& target, FlushMark& mark,
                        DeviceRequest& request) {
  using Kind = DeviceRequest::Kind;
  bool changes = request.kind == Kind::write || request.kind == Kind::zero ||
                 request.kind == Kind::discard;
  if (changes && target.read_only()) {
    throw std::system_error(Errc::read_only);
  }
  switch (request.kind) {
    case Kind::read:
      return read(target, request);
    case Kind::write:
      return write(target, mark, request);
    case Kind::flush:
      mark.flush([&] { target.flush(); });
      return {};
    case Kind::zero:
    case Kind::discard:
      return clear(target, mark, request);
    case Kind::seek_data:
    case Kind::seek_hole:
      return seek(target, request);
  }
  return {};
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "core/revert_marks.h"

#include <algorithm>
#include <bit>

namespace snapfs {
namespace {

// What changes is written in pieces of this size, or of a chunk if that is
// less.
constexpr uint64_t kWindowBytes = 4096;

uint64_t bytes_of(StoreLayout layout, const std::vector<ChunkRange>& chunks) {
  uint64_t bytes = 0;
  for (const ChunkRange& range : chunks) {
    bytes += layout.chunk_size().bytes_of(range).length;
  }
  return bytes;
}

std::byte mask_of(uint64_t new_chunk) {
  return static_cast<std::byte>(1u << new_chunk % 8);
}

}  // namespace

RevertMarks::RevertMarks(std::shared_ptr<BlockDevice> cow, StoreLayout layout,
                         const RevertNote& note)
    : cow_(std::move(cow)),
      layout_(layout),
      note_(note),
      chunks_(mark_chunks(layout, note.first_mark_chunk)) {
  MutexLock lock(mutex_);
  bits_.resize(bytes_of(layout_, chunks_));
}

void RevertMarks::create() {
  for (const ChunkRange& chunks : chunks_) {
    cow_->zero(layout_.chunk_size().bytes_of(chunks));
  }
  cow_->flush();
}

void RevertMarks::load() {
  MutexLock lock(mutex_);
  auto into = std::span(bits_);
  for (const ChunkRange& chunks : chunks_) {
    const ByteRange range = layout_.chunk_size().bytes_of(chunks);
    cow_->read(range.offset, into.first(range.length));
    into = into.subspan(range.length);
  }
  count_ = 0;
  for (std::byte byte : bits_) {
    count_ += static_cast<uint64_t>(
        std::popcount(std::to_integer<unsigned char>(byte)));
  }
}

// Where on the device the bits lie that begin at byte `offset` of them all.
uint64_t RevertMarks::device_offset(uint64_t offset) const {
  for (const ChunkRange& chunks : chunks_) {
    const ByteRange range = layout_.chunk_size().bytes_of(chunks);
    if (offset < range.length) return range.offset + offset;
    offset -= range.length;
  }
  return 0;
}

RevertMarks::Windows RevertMarks::windows_with(
    const std::vector<ExceptionRun>& runs) const {
  const uint64_t size = std::min(kWindowBytes, layout_.chunk_size().bytes());
  Windows windows;
  MutexLock lock(mutex_);
  for (const ExceptionRun& run : runs) {
    for (uint64_t i = run.new_chunk; i < run.new_chunk + run.count; ++i) {
      const uint64_t start = i / 8 / size * size;
      auto [window, is_new] = windows.try_emplace(start);
      if (is_new) {
        const auto from = bits_.begin() + static_cast<std::ptrdiff_t>(start);
        window->second.assign(from, from + static_cast<std::ptrdiff_t>(size));
      }
      window->second[i / 8 - start] |= mask_of(i);
    }
  }
  return windows;
}

void RevertMarks::write(const Windows& windows) {
  for (const auto& [offset, bytes] : windows) {
    cow_->write(device_offset(offset), bytes);
  }
}

void RevertMarks::set_in_memory(const std::vector<ExceptionRun>& runs) {
  MutexLock lock(mutex_);
  for (const ExceptionRun& run : runs) {
    for (uint64_t i = run.new_chunk; i < run.new_chunk + run.count; ++i) {
      if (is_set(i)) continue;
      bits_[i / 8] |= mask_of(i);
      ++count_;
    }
  }
}

bool RevertMarks::is_set(uint64_t new_chunk) const {
  return (bits_[new_chunk / 8] & mask_of(new_chunk)) != std::byte{0};
}

RevertMarks::Stretch RevertMarks::stretch_at(uint64_t new_chunk,
                                             uint64_t limit) const {
  if (new_chunk >= note_.first_mark_chunk) return {true, limit};
  MutexLock lock(mutex_);
  const bool is_done = is_set(new_chunk);
  const uint64_t end = std::min(new_chunk + limit, note_.first_mark_chunk);
  uint64_t next = new_chunk + 1;
  while (next < end && is_set(next) == is_done) ++next;
  return {is_done, next - new_chunk};
}

uint64_t RevertMarks::count() const {
  MutexLock lock(mutex_);
  return count_;
}

}  // namespace snapfs

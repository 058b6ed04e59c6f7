// SPDX-License-Identifier: MIT
#include "tests/tools/views.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <span>
#include <stdexcept>

#include "core/error.h"
#include "tests/support/disk_ops.h"
#include "tests/support/pattern.h"

namespace snapfs::test {
namespace {

std::vector<std::byte> content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw_errno(ENOENT, "read", path);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

void put(const std::string& path, std::span<const std::byte> data) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(data.data()),
            static_cast<std::streamsize>(data.size()));
  if (!out.flush()) throw_errno(EIO, "write", path);
}

// The lines FROM to TO of standard input, with their numbers.
struct Line {
  DiskOp op;
  uint64_t number;
};
std::vector<Line> lines(const std::string& from, const std::string& to) {
  const std::vector<DiskOp> all =
      parse_ops(std::string(std::istreambuf_iterator<char>(std::cin), {}));
  std::vector<Line> result;
  for (uint64_t n = std::stoull(from); n <= std::stoull(to); ++n)
    result.push_back({all.at(n - 1), n});
  return result;
}

// The chunks of the origin that a store has exceptions for, read by what the
// format says and by nothing of ours that reads it elsewhere.
std::set<uint64_t> exceptions(const std::string& path, uint64_t chunk_bytes) {
  constexpr uint64_t kRecordBytes = 16;
  const std::vector<std::byte> store = content(path);
  const uint64_t records = chunk_bytes / kRecordBytes;  // in an area
  std::set<uint64_t> result;
  for (uint64_t i = 0;; ++i) {
    const uint64_t area = 1 + i / records * (records + 1);
    const uint64_t at = area * chunk_bytes + i % records * kRecordBytes;
    if (at + kRecordBytes > store.size()) return result;
    const std::span record = std::span(store).subspan(at, kRecordBytes);
    if (load_little_endian(record.subspan(8)) == 0) return result;
    result.insert(load_little_endian(record));
  }
}

std::span<std::byte> part_of(std::vector<std::byte>& view, ByteRange range) {
  if (range.end() > view.size())
    throw std::invalid_argument("an operation is not on the device");
  return std::span(view).subspan(range.offset, range.length);
}

}  // namespace

void kernel_views_command(const std::vector<std::string>& args) {
  const ChunkSize chunk(std::stoull(args.at(0)));
  std::vector<std::byte> snapshot = content(args.at(2));
  std::vector<std::byte> origin = content(args.at(3));
  std::set<uint64_t> excepted;
  if (args.at(1) != "-")
    excepted = exceptions(args.at(1), chunk.bytes_of({0, 1}).length);
  for (const auto& [op, generation] : lines(args.at(4), args.at(5))) {
    const ChunkRange chunks = chunk.cover(op.bytes());
    if (op.kind == DiskOp::Kind::discard) {
      for (uint64_t c = chunks.first; c < chunks.end(); ++c) {
        ByteRange bytes = chunk.bytes_of({c, 1});
        bytes.length = std::min(bytes.length, snapshot.size() - bytes.offset);
        if (excepted.contains(c))
          std::ranges::fill(part_of(snapshot, bytes), std::byte{0});
      }
      continue;
    }
    stamp(
        part_of(op.kind == DiskOp::Kind::snap ? snapshot : origin, op.bytes()),
        op.first, generation);
    for (uint64_t c = chunks.first; c < chunks.end(); ++c) excepted.insert(c);
  }
  put(args.at(2), snapshot);
  put(args.at(3), origin);
}

void check_crash_command(const std::vector<std::string>& args) {
  std::vector<std::byte> before = content(args.at(0));
  const std::vector<std::byte> after = content(args.at(1));
  if (before.size() != after.size())
    throw std::runtime_error("the lengths differ");
  const DiskOp::Kind kind =
      args.at(2) == "snap" ? DiskOp::Kind::snap : DiskOp::Kind::origin;
  const uint64_t durable = std::stoull(args.at(4));
  // What a sector may hold instead, by generation.
  std::vector<std::set<uint64_t>> later(before.size() / kSectorBytes);
  for (const auto& [op, generation] : lines(args.at(3), args.at(5))) {
    if (op.kind == DiskOp::Kind::discard)
      throw std::invalid_argument("a discard");
    if (op.kind != kind) continue;
    if (generation <= durable) {
      stamp(part_of(before, op.bytes()), op.first, generation);
    } else {
      part_of(before, op.bytes());
      for (uint64_t i = 0; i < op.count; ++i)
        later[op.first + i].insert(generation);
    }
  }
  for (uint64_t i = 0; i < later.size(); ++i) {
    const auto found = std::span(after).subspan(i * kSectorBytes, kSectorBytes);
    const auto wanted =
        std::span(before).subspan(i * kSectorBytes, kSectorBytes);
    if (std::ranges::equal(found, wanted)) continue;
    const bool is_later = std::ranges::any_of(later[i], [&](uint64_t g) {
      return std::ranges::equal(found, stamped(i, 1, g));
    });
    if (is_later) continue;
    throw std::runtime_error(args.at(1) + ": sector " + std::to_string(i) +
                             " should be " + describe_sector(wanted) +
                             ", or later, and is " + describe_sector(found));
  }
}

}  // namespace snapfs::test

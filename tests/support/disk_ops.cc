// SPDX-License-Identifier: MIT
//
// See disk_ops.h.
#include "tests/support/disk_ops.h"

#include <algorithm>
#include <array>
#include <random>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "tests/support/pattern.h"

namespace snapfs::test {
namespace {

constexpr std::array<std::pair<std::string_view, DiskOp::Kind>, 4> kKinds{{
    {"snap", DiskOp::Kind::snap},
    {"origin", DiskOp::Kind::origin},
    {"discard", DiskOp::Kind::discard},
    {"refused", DiskOp::Kind::refused},
}};

DiskOp parse_op(const std::string& line, size_t number) {
  std::istringstream in(line);
  std::string kind;
  DiskOp op;
  bool complete = static_cast<bool>(in >> kind >> op.first >> op.count);
  const auto* known =
      std::find_if(kKinds.begin(), kKinds.end(),
                   [&](const auto& k) { return k.first == kind; });
  if (!complete || known == kKinds.end() || op.count == 0) {
    throw std::invalid_argument("operation " + std::to_string(number) +
                                " makes no sense: " + line);
  }
  op.kind = known->second;
  return op;
}

// Replays with the one thing in mind that content does not tell: which chunks
// have an exception.
class Replayer {
 public:
  Replayer(uint64_t device_bytes, ChunkSize chunk)
      : chunk_(chunk), excepted_(chunk.cover({0, device_bytes}).count) {
    views_.origin = stamped(0, device_bytes / kSectorBytes, 0);
    views_.snapshot = views_.origin;
  }

  void carry_out(const DiskOp& op, uint64_t generation) {
    if (op.bytes().end() > views_.origin.size()) {
      throw std::invalid_argument("operation " + std::to_string(generation) +
                                  " is not on the device");
    }
    switch (op.kind) {
      case DiskOp::Kind::snap:
        stamp(part_of(views_.snapshot, op.bytes()), op.first, generation);
        break;
      case DiskOp::Kind::origin:
        stamp(part_of(views_.origin, op.bytes()), op.first, generation);
        break;
      case DiskOp::Kind::discard:
        discard(op.bytes());
        return;
      case DiskOp::Kind::refused:
        return;
    }
    ChunkRange chunks = chunk_.cover(op.bytes());
    for (uint64_t c = chunks.first; c < chunks.end(); ++c) excepted_[c] = true;
  }

  Views take() { return std::move(views_); }

 private:
  static std::span<std::byte> part_of(std::vector<std::byte>& view,
                                      ByteRange range) {
    return std::span(view).subspan(range.offset, range.length);
  }

  void discard(ByteRange range) {
    ChunkRange chunks = chunk_.cover(range);
    for (uint64_t c = chunks.first; c < chunks.end(); ++c) {
      if (!excepted_[c]) continue;
      std::ranges::fill(part_of(views_.snapshot, chunk_.bytes_of({c, 1})),
                        std::byte{0});
    }
  }

  ChunkSize chunk_;
  std::vector<bool> excepted_;
  Views views_;
};

}  // namespace

std::vector<DiskOp> parse_ops(std::string_view text) {
  std::vector<DiskOp> ops;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    ops.push_back(parse_op(line, ops.size() + 1));
  }
  return ops;
}

std::string to_text(const std::vector<DiskOp>& ops) {
  std::ostringstream out;
  for (const DiskOp& op : ops) {
    for (const auto& [name, kind] : kKinds) {
      if (kind == op.kind) out << name;
    }
    out << ' ' << op.first << ' ' << op.count << '\n';
  }
  return out.str();
}

std::vector<DiskOp> random_ops(const RandomOps& options) {
  // std::uniform_int_distribution differs between libraries, so it is not used.
  std::mt19937_64 random(options.seed);
  constexpr std::array<uint64_t, 10> kLengths{1,  1,  2,  3,   8,
                                              16, 40, 64, 128, 256};
  std::vector<DiskOp> ops;
  while (ops.size() < options.count) {
    DiskOp op;
    uint64_t length = kLengths[random() % kLengths.size()];
    length = std::min(length, options.max_sectors);
    op.count = (length + options.align - 1) / options.align * options.align;
    uint64_t places = (options.device_sectors - op.count) / options.align + 1;
    op.first = random() % places * options.align;
    unsigned which = static_cast<unsigned>(random() % 10);
    op.kind = which < 5 ? DiskOp::Kind::snap : DiskOp::Kind::origin;
    if (options.discards && which == 9) op.kind = DiskOp::Kind::discard;
    ops.push_back(op);
  }
  return ops;
}

Views replay(const std::vector<DiskOp>& ops, uint64_t device_bytes,
             ChunkSize chunk) {
  Replayer replayer(device_bytes, chunk);
  uint64_t generation = 0;
  for (const DiskOp& op : ops) replayer.carry_out(op, ++generation);
  return replayer.take();
}

}  // namespace snapfs::test

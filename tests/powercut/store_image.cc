// SPDX-License-Identifier: MIT
#include "tests/powercut/store_image.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace snapfs::test {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint64_t kRecord = 16;

uint64_t number_at(std::span<const std::byte> bytes, uint64_t at,
                   unsigned width) {
  uint64_t value = 0;
  for (unsigned i = width; i-- > 0;) {
    value = value << 8 | std::to_integer<uint64_t>(bytes[at + i]);
  }
  return value;
}

StoreImage broken(StoreImage image, const std::string& fault) {
  image.kind = StoreImage::Kind::broken;
  image.fault = fault;
  return image;
}

// The note, and the marks; what is left of the exceptions if it is well.
StoreImage with_note(StoreImage image, std::span<const std::byte> cow) {
  constexpr uint64_t kNote = 16;
  constexpr uint64_t kChecksum = 56;
  if (number_at(cow, kNote, 8) != 0x5472657652706e53) return image;
  uint64_t sum = 0xcbf29ce484222325;
  for (uint64_t at = kNote; at < kChecksum; ++at) {
    sum = (sum ^ number_at(cow, at, 1)) * 0x100000001b3;
  }
  if (number_at(cow, 24, 8) != 1 || number_at(cow, kChecksum, 8) != sum) {
    return broken(image, "the note of a revert");
  }
  image.has_note = true;
  const uint64_t first = number_at(cow, 32, 8);
  const uint64_t length = number_at(cow, 40, 8);
  const uint64_t chunk = image.chunk_sectors * kSector;
  const uint64_t in_area = chunk / kRecord;
  // The bits, put together.
  std::vector<std::byte> bits;
  std::set<uint64_t> mark_chunks;
  uint64_t next = first;
  for (; bits.size() * 8 < first; ++next) {
    if (next % (in_area + 1) == 1) continue;
    if ((next + 1) * chunk > cow.size()) return broken(image, "no marks");
    mark_chunks.insert(next);
    const auto some = cow.subspan(next * chunk, chunk);
    bits.insert(bits.end(), some.begin(), some.end());
  }
  for (const auto& [old_chunk, new_chunk] : image.exceptions) {
    if (mark_chunks.contains(new_chunk)) {
      return broken(image, "data where the marks are");
    }
    if (new_chunk >= first || old_chunk * image.chunk_sectors >= length) {
      continue;
    }
    const auto byte = std::to_integer<unsigned>(bits[new_chunk / 8]);
    if ((byte >> new_chunk % 8 & 1) == 0) {
      image.undone.emplace(old_chunk, new_chunk);
    }
  }
  image.next_free = std::max(image.next_free, next);
  return image;
}

}  // namespace

std::string StoreImage::status(uint64_t device_bytes) const {
  const uint64_t in_area = chunk_sectors * kSector / kRecord;
  return std::to_string(next_free * chunk_sectors) + "/" +
         std::to_string(device_bytes / kSector) + " " +
         std::to_string((records / in_area + 2) * chunk_sectors);
}

StoreImage read_store(std::span<const std::byte> cow, uint64_t origin_bytes) {
  StoreImage image;
  if (cow.size() < kSector || number_at(cow, 0, 4) == 0) return image;
  if (number_at(cow, 0, 4) != 0x70416e53) return broken(image, "magic");
  if (number_at(cow, 8, 4) != 1) return broken(image, "version");
  image.chunk_sectors = number_at(cow, 12, 4);
  if (number_at(cow, 4, 4) == 0) {
    image.kind = StoreImage::Kind::invalid;
    return image;
  }
  image.kind = StoreImage::Kind::valid;
  const uint64_t chunk = image.chunk_sectors * kSector;
  const uint64_t in_area = chunk / kRecord;
  const uint64_t chunks = cow.size() / chunk;
  const uint64_t old_chunks = (origin_bytes + chunk - 1) / chunk;
  std::set<uint64_t> used;
  for (;; ++image.records) {
    const uint64_t area = 1 + image.records / in_area * (in_area + 1);
    const std::string what = "record " + std::to_string(image.records);
    if (area >= chunks) {
      return broken(image, what + ": its area is behind the end");
    }
    const uint64_t at = area * chunk + image.records % in_area * kRecord;
    const uint64_t old_chunk = number_at(cow, at, 8);
    const uint64_t new_chunk = number_at(cow, at + 8, 8);
    if (new_chunk == 0) {
      const auto rest = cow.subspan(at, (area + 1) * chunk - at);
      image.has_stale_records =
          std::any_of(rest.begin(), rest.end(),
                      [](std::byte b) { return b != std::byte{0}; });
      break;
    }
    if (new_chunk % (in_area + 1) == 1 || new_chunk >= chunks) {
      return broken(image, what + ": new chunk " + std::to_string(new_chunk));
    }
    if (old_chunk >= old_chunks) {
      return broken(image, what + ": old chunk " + std::to_string(old_chunk));
    }
    if (!used.insert(new_chunk).second ||
        !image.exceptions.emplace(old_chunk, new_chunk).second) {
      return broken(image, what + ": " + std::to_string(old_chunk) + " -> " +
                               std::to_string(new_chunk) + " is there twice");
    }
    image.next_free = std::max(image.next_free, new_chunk + 1);
  }
  image = with_note(std::move(image), cow);
  if (image.next_free % (in_area + 1) == 1) ++image.next_free;
  return image;
}

}  // namespace snapfs::test

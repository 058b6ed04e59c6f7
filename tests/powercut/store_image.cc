// SPDX-License-Identifier: MIT
#include "tests/powercut/store_image.h"

#include <algorithm>
#include <set>

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
  if (image.next_free % (in_area + 1) == 1) ++image.next_free;
  return image;
}

}  // namespace snapfs::test

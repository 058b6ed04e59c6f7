// SPDX-License-Identifier: MIT
#include "core/disk_format.h"

#include <endian.h>

#include <cstring>

namespace snapfs {
namespace {

uint32_t load32(const std::byte* from) {
  uint32_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return le32toh(value);
}

uint64_t load64(const std::byte* from) {
  uint64_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return le64toh(value);
}

void store32(std::byte* into, uint32_t value) {
  value = htole32(value);
  std::memcpy(into, &value, sizeof value);
}

void store64(std::byte* into, uint64_t value) {
  value = htole64(value);
  std::memcpy(into, &value, sizeof value);
}

}  // namespace

DiskHeader unpack_header(std::span<const std::byte> from) {
  return {load32(&from[0]), load32(&from[4]), load32(&from[8]),
          load32(&from[12])};
}

void pack_header(const DiskHeader& header, std::span<std::byte> into) {
  store32(&into[0], header.magic);
  store32(&into[4], header.valid);
  store32(&into[8], header.version);
  store32(&into[12], header.chunk_sectors);
}

DiskRecord unpack_record(std::span<const std::byte> from) {
  return {load64(&from[0]), load64(&from[8])};
}

void pack_record(const DiskRecord& record, std::span<std::byte> into) {
  store64(&into[0], record.old_chunk);
  store64(&into[8], record.new_chunk);
}

}  // namespace snapfs

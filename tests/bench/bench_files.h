// SPDX-License-Identifier: MIT
//
// Files in the place of disks, and stores full of exceptions, for benchmarks.
// They lie in SNAPFS_BENCH_DIR (default /dev/shm, so that no disk is measured)
// and have no name. Thread-safe.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/disk_format.h"
#include "core/error.h"
#include "core/file_device.h"

namespace snapfs::test {

inline constexpr ChunkSize kChunkSize(8);
inline constexpr uint64_t kChunkBytes = 4096;

// A sparse file without a name; the device may have one.
inline std::shared_ptr<FileDevice> make_file(uint64_t bytes,
                                             const std::string& name = "") {
  const char* directory = std::getenv("SNAPFS_BENCH_DIR");
  std::string path =
      std::string(directory != nullptr ? directory : "/dev/shm") +
      "/snapfs-bench.XXXXXX";
  UniqueFd fd(mkostemp(path.data(), O_CLOEXEC));
  if (!fd) throw_errno("cannot make", path);
  unlink(path.c_str());
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    throw_errno("cannot size", path);
  }
  return std::make_shared<FileDevice>(std::move(fd),
                                      name.empty() ? path : name);
}

inline std::vector<std::byte> data_of(uint64_t bytes) {
  return std::vector<std::byte>(bytes, std::byte{0x5a});
}

// Chunks in an order that is not ascending, each once.
inline uint64_t scattered(uint64_t i, uint64_t power_of_two) {
  return i * 0x9e3779b1 % power_of_two;
}

// A store with that many exceptions, and room for `spare` more; only its
// metadata takes memory.
inline std::shared_ptr<FileDevice> make_store(uint64_t exceptions,
                                              bool consecutive,
                                              uint64_t spare = 0) {
  StoreLayout layout(kChunkSize);
  const uint64_t capacity = layout.records_per_area();
  uint64_t chunks = 2 + exceptions + spare;
  chunks += chunks / capacity + 2;
  auto cow = make_file(chunks * kChunkBytes);
  std::vector<std::byte> chunk(kChunkBytes);
  DiskHeader header;
  header.chunk_sectors = static_cast<uint32_t>(kChunkSize.sectors());
  pack_header(header, chunk);
  cow->write(0, chunk);
  uint64_t slot = 0;
  uint64_t new_chunk = kFirstDataChunk;
  while (slot < exceptions) {
    uint64_t area = layout.area_of_slot(slot);
    std::fill(chunk.begin(), chunk.end(), std::byte{0});
    for (uint64_t i = 0; i < capacity && slot < exceptions; ++i, ++slot) {
      new_chunk = layout.skip_metadata(new_chunk);
      uint64_t old_chunk =
          consecutive ? slot : scattered(slot, uint64_t{1} << 28);
      pack_record({old_chunk, new_chunk++},
                  std::span(chunk).subspan(i * kRecordBytes));
    }
    cow->write(kChunkSize.start_of(layout.area_chunk(area)), chunk);
  }
  return cow;
}

}  // namespace snapfs::test

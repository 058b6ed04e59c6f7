// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/chunk.h"
#include "tests/support/counting_device.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/recording_device.h"

namespace snapfs::test {

inline ByteRange sectors(uint64_t first, uint64_t count) {
  return {first * kSectorBytes, count * kSectorBytes};
}

// A device in memory that can be told to fail, that counts, holds requests
// back and writes down what arrives.
struct Layers {
  Layers(const std::string& name, uint64_t sector_count,
         const std::shared_ptr<Recording>& recording)
      : memory(
            std::make_shared<MemoryDevice>(sector_count * kSectorBytes, name)),
        faulty(std::make_shared<FaultyDevice>(memory)),
        recorder(std::make_shared<RecordingDevice>(faulty, recording)),
        counting(std::make_shared<CountingDevice>(recorder)) {}

  std::shared_ptr<MemoryDevice> memory;
  std::shared_ptr<FaultyDevice> faulty;
  std::shared_ptr<RecordingDevice> recorder;
  std::shared_ptr<CountingDevice> counting;
};

// "write cow 4096+512", "flush cow", ...
inline std::vector<std::string> in_words(const Recording& recording) {
  std::vector<std::string> words;
  for (const RecordedOp& op : recording.ops()) words.push_back(in_words(op));
  return words;
}

}  // namespace snapfs::test

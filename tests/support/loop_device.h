// SPDX-License-Identifier: MIT
//
// A loop device of a test's own, detached at the end.
#pragma once

#include <cstdint>
#include <string>

namespace snapfs::test {

class LoopDevice {
 public:
  struct Options {
    uint32_t block_size = 512;
    bool read_only = false;
    bool direct_io = false;
    uint64_t offset = 0;
    uint64_t size_limit = 0;  // 0: to the end of the file
  };

  // Why there can be no loop devices here; empty if there can.
  //   if (auto why = LoopDevice::why_not(); !why.empty()) GTEST_SKIP() << why;
  static std::string why_not();

  explicit LoopDevice(const std::string& file);
  LoopDevice(const std::string& file, const Options& options);
  ~LoopDevice();
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  const std::string& path() const { return path_; }  // "/dev/loopN"

  // Takes the file's new size over (losetup -c).
  void refresh_size();

  // Before the end; throws if losetup refuses.
  void detach();

 private:
  std::string path_;
};

}  // namespace snapfs::test

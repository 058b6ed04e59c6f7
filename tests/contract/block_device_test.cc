// SPDX-License-Identifier: MIT
//
// The block device contract, kept by every implementation there is.
#include <fcntl.h>

#include <filesystem>

#include "core/file_device.h"
#include "tests/contract/block_device_contract.h"
#include "tests/support/counting_device.h"
#include "tests/support/faulty_device.h"
#include "tests/support/loop_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/temp_dir.h"

namespace snapfs::test {
namespace {

class OnMemory {
 public:
  static std::string why_not() { return ""; }
  BlockDevice& device() { return *memory_; }
  void grow_to(uint64_t bytes) { memory_->set_size(bytes); }

 protected:
  std::shared_ptr<MemoryDevice> memory_ =
      std::make_shared<MemoryDevice>(kDeviceBytes);
};

class OnCounting : public OnMemory {
 public:
  BlockDevice& device() { return counting_; }

 private:
  CountingDevice counting_{memory_};
};

class OnFaulty : public OnMemory {
 public:
  BlockDevice& device() { return faulty_; }

 private:
  FaultyDevice faulty_{memory_};
};

class OnFile {
 public:
  static std::string why_not() { return ""; }
  BlockDevice& device() { return device_; }
  void grow_to(uint64_t bytes) {
    std::filesystem::resize_file(device_.name(), bytes);
  }

 private:
  TempDir dir_;
  std::string file_ = dir_.make_file("file", kDeviceBytes);
  FileDevice device_{UniqueFd(open(file_.c_str(), O_RDWR | O_CLOEXEC)), file_};
};

template <uint32_t block_size>
class OnLoop {
 public:
  static std::string why_not() { return LoopDevice::why_not(); }
  BlockDevice& device() { return device_; }
  void grow_to(uint64_t bytes) {
    std::filesystem::resize_file(file_, bytes);
    loop_.refresh_size();
  }

 private:
  TempDir dir_;
  std::string file_ = dir_.make_file("file", kDeviceBytes);
  LoopDevice loop_{file_, {.block_size = block_size}};
  FileDevice device_{UniqueFd(open(loop_.path().c_str(), O_RDWR | O_CLOEXEC)),
                     loop_.path()};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, BlockDeviceContract, OnMemory);
INSTANTIATE_TYPED_TEST_SUITE_P(Counting, BlockDeviceContract, OnCounting);
INSTANTIATE_TYPED_TEST_SUITE_P(Faulty, BlockDeviceContract, OnFaulty);
INSTANTIATE_TYPED_TEST_SUITE_P(File, BlockDeviceContract, OnFile);
INSTANTIATE_TYPED_TEST_SUITE_P(Loop512, BlockDeviceContract, OnLoop<512>);
INSTANTIATE_TYPED_TEST_SUITE_P(Loop4096, BlockDeviceContract, OnLoop<4096>);

}  // namespace
}  // namespace snapfs::test

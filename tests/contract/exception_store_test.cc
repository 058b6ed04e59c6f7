// SPDX-License-Identifier: MIT
//
// The exception store contract, kept by every implementation there is, with
// small and large chunks.
#include "core/persistent_store.h"
#include "core/transient_store.h"
#include "tests/contract/exception_store_contract.h"
#include "tests/support/memory_device.h"

namespace snapfs::test {
namespace {

template <uint64_t sectors>
class OnDevice {
 public:
  static constexpr uint64_t kSectors = sectors;

  ExceptionStore& store() { return *store_; }
  void resize_to(uint64_t chunks) {
    cow_->set_size(chunks * sectors * kSectorBytes);
  }

 protected:
  std::shared_ptr<MemoryDevice> cow_ = std::make_shared<MemoryDevice>(
      kCowChunks * sectors * kSectorBytes, "cow");
  std::unique_ptr<ExceptionStore> store_;
};

template <uint64_t sectors>
class Transient : public OnDevice<sectors> {
 public:
  Transient() {
    this->store_ =
        std::make_unique<TransientStore>(this->cow_, ChunkSize(sectors));
  }
  static uint64_t room(uint64_t chunks) { return chunks; }
};

template <uint64_t sectors>
class Persistent : public OnDevice<sectors> {
 public:
  Persistent() {
    this->store_ = PersistentStore::create(this->cow_, ChunkSize(sectors));
  }
  // The last slot of an area is of use only if the next area exists.
  static uint64_t room(uint64_t chunks) {
    const uint64_t per_area = sectors * kSectorBytes / kRecordBytes;
    uint64_t count = 0;
    for (uint64_t slot = 0;; ++slot) {
      uint64_t chunk = slot + 2 + slot / per_area;
      uint64_t next_area = 1 + (per_area + 1) * ((slot + 1) / per_area);
      if (chunk >= chunks || next_area >= chunks) return count;
      ++count;
    }
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Transient1, ExceptionStoreContract,
                               Transient<1>);
INSTANTIATE_TYPED_TEST_SUITE_P(Transient64, ExceptionStoreContract,
                               Transient<64>);
INSTANTIATE_TYPED_TEST_SUITE_P(Persistent1, ExceptionStoreContract,
                               Persistent<1>);
INSTANTIATE_TYPED_TEST_SUITE_P(Persistent2, ExceptionStoreContract,
                               Persistent<2>);
INSTANTIATE_TYPED_TEST_SUITE_P(Persistent8, ExceptionStoreContract,
                               Persistent<8>);
INSTANTIATE_TYPED_TEST_SUITE_P(Persistent128, ExceptionStoreContract,
                               Persistent<128>);

}  // namespace
}  // namespace snapfs::test

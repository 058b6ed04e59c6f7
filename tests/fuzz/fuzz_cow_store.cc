// SPDX-License-Identifier: MIT
//
// Any COW device: it is refused with a reason, or it is a snapshot that shows
// what its records say, by a reader that knows nothing of stores. Then the
// snapshot is used, loaded again, and merged.
//
// The input is the sizes and then the image, as edits of a device of zeroes.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/device_set.h"
#include "core/disk_format.h"
#include "core/error.h"
#include "tests/fuzz/input.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

using Bytes = std::vector<std::byte>;

// What a log of an image says, if it can be believed.
class Reference {
 public:
  Reference(Bytes image, uint64_t chunk_sectors, uint64_t origin_sectors)
      : image_(std::move(image)), chunk_(chunk_sectors * kSectorBytes) {
    const uint64_t chunks = image_.size() / chunk_;
    const uint64_t per_area = chunk_ / 16;
    const uint64_t old_chunks =
        (origin_sectors + chunk_sectors - 1) / chunk_sectors;
    std::map<uint64_t, uint64_t> taken;
    for (uint64_t slot = 0;; ++slot) {
      const uint64_t area = 1 + (per_area + 1) * (slot / per_area);
      if (area >= chunks) return;
      const uint64_t at = area * chunk_ + slot % per_area * 16;
      const uint64_t old_chunk = load_little_endian(part(at));
      const uint64_t new_chunk = load_little_endian(part(at + 8));
      if (new_chunk == 0) break;
      const bool is_metadata = new_chunk % (per_area + 1) == 1;
      if (old_chunk >= old_chunks || new_chunk >= chunks || is_metadata ||
          !taken.emplace(new_chunk, old_chunk).second ||
          !exceptions_.emplace(old_chunk, new_chunk).second) {
        return;
      }
    }
    is_good_ = true;
  }

  bool is_good() const { return is_good_; }

  Bytes content(const Bytes& origin) const {
    Bytes bytes = origin;
    for (const auto& [old_chunk, new_chunk] : exceptions_) {
      const uint64_t at = old_chunk * chunk_;
      std::memcpy(&bytes[at], &image_[new_chunk * chunk_],
                  std::min<uint64_t>(chunk_, bytes.size() - at));
    }
    return bytes;
  }

 private:
  std::span<const std::byte> part(uint64_t at) const {
    return std::span(image_).subspan(at, 8);
  }

  const Bytes image_;
  const uint64_t chunk_;
  std::map<uint64_t, uint64_t> exceptions_;
  bool is_good_ = false;
};

class Image {
 public:
  explicit Image(Input& input)
      : chunk_(uint64_t{1} << input.pick(5)),
        bytes_((1 + input.pick(256)) * kSectorBytes) {
    for (std::size_t at = 0; at < bytes_.size(); at += kSectorBytes) {
      // No sector of data looks like another.
      if (at >= 2 * chunk_ * kSectorBytes) {
        stamp(std::span(bytes_).subspan(at, kSectorBytes), at / kSectorBytes,
              7);
      }
    }
    clear_areas();
    DiskHeader header;
    header.chunk_sectors = static_cast<uint32_t>(chunk_);
    std::array<std::byte, kHeaderBytes> packed{};
    pack_header(header, packed);
    put(0, packed);
    while (!input.empty()) edit(input);
  }

  const Bytes& bytes() const { return bytes_; }

 private:
  void clear_areas() {
    const StoreLayout layout{ChunkSize(chunk_)};
    const uint64_t chunk_bytes = chunk_ * kSectorBytes;
    for (uint64_t area = 0;
         layout.area_chunk(area) * chunk_bytes < bytes_.size(); ++area) {
      const Bytes zeroes(chunk_bytes);
      put(layout.area_chunk(area) * chunk_bytes, zeroes);
    }
  }

  // What reaches beyond the end is cut off.
  void put(uint64_t at, std::span<const std::byte> from) {
    if (at >= bytes_.size()) return;
    std::memcpy(&bytes_[at], from.data(),
                std::min<std::size_t>(from.size(), bytes_.size() - at));
  }

  void record(uint64_t old_chunk, uint64_t new_chunk) {
    std::array<std::byte, kRecordBytes> packed{};
    pack_record({old_chunk, new_chunk}, packed);
    put(StoreLayout(ChunkSize(chunk_)).slot_offset(slot_++), packed);
    old_chunk_ = old_chunk;
    new_chunk_ = new_chunk;
  }

  void edit(Input& input) {
    const StoreLayout layout{ChunkSize(chunk_)};
    switch (input.byte() % 8) {
      case 0:  // the next ones
        for (uint64_t left = 1 + input.byte(); left != 0; --left) {
          record(old_chunk_ + 1, layout.skip_metadata(new_chunk_ + 1));
        }
        return;
      case 1:  // one that may be right
        record(input.byte(), layout.skip_metadata(new_chunk_ + 1));
        return;
      case 2: {
        const uint64_t old_chunk = input.number(2);
        return record(old_chunk, input.number(2));
      }
      case 3: {
        const uint64_t old_chunk = input.number(8);
        return record(old_chunk, input.number(8));
      }
      case 4:  // a gap
        slot_ += 1 + input.byte();
        return;
      case 5:
        slot_ = input.number(2);
        return;
      case 6: {
        const uint64_t at = input.number(3);
        const std::string text = input.text(1 + input.byte());
        return put(at, std::as_bytes(std::span(text)));
      }
      case 7: {  // one that is right, scattered
        const uint64_t old_chunk = (old_chunk_ * 5 + 3) % 61;
        return record(old_chunk, layout.skip_metadata(new_chunk_ + 1));
      }
    }
  }

  const uint64_t chunk_;
  Bytes bytes_;
  uint64_t slot_ = 0;
  uint64_t old_chunk_ = 0;
  uint64_t new_chunk_ = 1;
};

class Store {
 public:
  explicit Store(Input& input) {
    type_ = input.pick(2) == 0 ? StoreType::persistent
                               : StoreType::persistent_overflow;
    const uint64_t origin_sectors = 1 + input.pick(128);
    merges_ = input.pick(2) == 1;
    const Bytes image = Image(input).bytes();
    origin_ = stamped(0, origin_sectors, 1);
    origin_device_ = opener_.add("/origin", origin_.size());
    origin_device_->write(0, origin_);
    cow_device_ = opener_.add("/cow", image.size());
    cow_device_->write(0, image);
    const DiskHeader header = unpack_header(image);
    is_store_ = header.magic == kMagic;
    is_invalid_ = is_store_ && header.valid == 0;
    // Larger chunks than the device has room for have no records.
    if (is_store_ && ChunkSize::is_valid(header.chunk_sectors)) {
      reference_.emplace(image, header.chunk_sectors, origin_sectors);
    }
    has_version_ = header.version == kDiskVersion;
  }

  void run() {
    if (!load()) {
      require(!is_right(), "what is right is loaded: " + error_);
      return;
    }
    // A device without a store gets one.
    if (is_store_) {
      require(is_right(), "what is wrong is refused");
      content_ = is_invalid_ ? Bytes() : reference_->content(origin_);
    } else {
      content_ = origin_;
    }
    check_content();
    use();
    reload("what was used is loaded again: ");
    if (merges_) merge();
  }

 private:
  bool is_right() const {
    return is_store_ && has_version_ && reference_ &&
           (is_invalid_ || reference_->is_good());
  }

  bool load() {
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    Table table = snapshot_table("snap", "base", "/cow", type_, 0);
    snapshot_of(table).commit_interval = std::chrono::hours(1);
    snapshot_of(table).discard_zeroes_cow = true;
    try {
      set_->load({origin_table("base", "/origin"), table});
    } catch (const TableError& error) {
      error_ = error.what();
      require(!error_.empty() && error.error() != 0, "a reason");
      return false;
    }
    return true;
  }

  void reload(const std::string& what) {
    set_.reset();
    require(load(), what + error_);
    check_content();
  }

  std::shared_ptr<Target> target(const char* name) {
    return set_->find(name)->live();
  }

  void check_content() {
    Bytes found(origin_.size());
    target("base")->read(0, found);
    require(found == origin_, "the origin is as it was");
    require(!target("snap")->status_line().empty(), "it has a status");
    std::fill(found.begin(), found.end(), std::byte{0});
    // Sector by sector, and then as a whole.
    for (uint64_t at = 0; at < found.size(); at += kSectorBytes) {
      if (!read({at, kSectorBytes}, found)) return;
    }
    require(found == content_, "each chunk is what its record says");
    read({0, found.size()}, found);
    require(found == content_, "all chunks are what their records say");
  }

  // False: the snapshot is invalid, and may be.
  bool read(ByteRange range, Bytes& into) {
    try {
      target("snap")->read(range.offset,
                           std::span(into).subspan(range.offset, range.length));
    } catch (const std::system_error& error) {
      require(error.code() == Errc::snapshot_invalid, error.what());
      require(is_invalid_, "only what is invalid cannot be read");
      return false;
    }
    require(!is_invalid_, "what is invalid cannot be read");
    return true;
  }

  // There may be no room for it.
  void use() {
    const uint64_t sectors = origin_.size() / kSectorBytes;
    for (uint64_t sector : {sectors / 2, sectors - 1, uint64_t{0}}) {
      write("snap", sector, 2);
      write("base", sector / 3, 3);
    }
    try {
      target("snap")->flush();
    } catch (const std::system_error&) {
      require(is_invalid_, "only what is invalid cannot be flushed");
    }
    check_content();
  }

  void write(const char* name, uint64_t sector, uint64_t generation) {
    const Bytes data = stamped(sector, 1, generation);
    const bool is_origin = name[0] == 'b';
    Bytes& content = is_origin ? origin_ : content_;
    bool is_done = true;
    try {
      target(name)->write(sector * kSectorBytes, data);
    } catch (const std::system_error& error) {
      require(!is_origin, std::string("the origin takes it: ") + error.what());
      is_done = false;
    }
    is_invalid_ = target("snap")->status_line().ends_with("Invalid");
    if (!is_done || content.empty()) return;
    std::copy(
        data.begin(), data.end(),
        content.begin() + static_cast<std::ptrdiff_t>(sector * kSectorBytes));
  }

  void merge() {
    set_.reset();
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    try {
      set_->load({merge_table("base", "/origin", "/cow")});
    } catch (const TableError& error) {
      require(is_invalid_, error.what());
      return;
    }
    if (is_invalid_) return;
    while (set_->merge_step("base") != 0) {
    }
    Bytes found(origin_.size());
    target("base")->read(0, found);
    require(found == content_, "the origin is what the snapshot was");
  }

  MemoryOpener opener_;
  EventRecorder events_;
  std::shared_ptr<MemoryDevice> origin_device_;
  std::shared_ptr<MemoryDevice> cow_device_;
  StoreType type_;
  bool merges_ = false;
  bool is_store_ = false;
  bool has_version_ = false;
  bool is_invalid_ = false;
  std::optional<Reference> reference_;
  Bytes origin_;
  Bytes content_;  // of the snapshot
  std::string error_;
  std::unique_ptr<DeviceSet> set_;
};

}  // namespace
}  // namespace snapfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  snapfs::test::Input input(data, size);
  snapfs::test::Store(input).run();
  return 0;
}

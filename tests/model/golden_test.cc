// SPDX-License-Identifier: MIT
//
// COW devices written by the Linux kernel (tests/golden/README.md) must load
// with the content and the status line that the kernel showed.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "core/device_set.h"
#include "core/salvaged_snapshot.h"
#include "tests/support/command.h"
#include "tests/support/disk_ops.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/temp_dir.h"

namespace snapfs::test {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// One image: its files, read.
struct Image {
  explicit Image(const fs::path& directory)
      : ops(parse_ops(read_file(directory / "ops"))) {
    std::istringstream lines(read_file(directory / "expected"));
    for (std::string key; lines >> key >> std::ws;) {
      std::getline(lines, expected[key]);
    }
    std::istringstream table(expected.at("table"));
    table >> store >> chunk_sectors;
    // "0 LENGTH snapshot ..."
    std::istringstream status(expected.at("status"));
    uint64_t start = 0;
    uint64_t sectors = 0;
    status >> start >> sectors;
    device_bytes = sectors * kSectorBytes;

    TempDir work;
    std::string cow_file = work.path("cow");
    run_or_throw({"sh", "-c", "xz -dc \"$1\" >\"$2\"", "sh",
                  (directory / "cow.xz").string(), cow_file});
    cow = read_file(cow_file);
    views = replay(ops, device_bytes, ChunkSize(chunk_sectors));
  }

  bool is_valid() const { return expected.at("snapshot_sha256") != "EIO"; }

  std::vector<DiskOp> ops;
  std::map<std::string, std::string> expected;
  std::string store;
  uint64_t chunk_sectors = 0;
  uint64_t device_bytes = 0;
  std::string cow;
  Views views;
};

std::string sha256(std::span<const std::byte> data) {
  TempDir work;
  std::string file = work.write_file(
      "view", {reinterpret_cast<const char*>(data.data()), data.size()});
  return run_or_throw({"sha256sum", file}).substr(0, 64);
}

class NoEvents : public EventSink {
 public:
  void on_event(const Event&) override {}
};

// The image on devices in memory, loaded as `snap` and `origin`.
class LoadedImage {
 public:
  explicit LoadedImage(const Image& image) : devices_(opener_, events_) {
    opener_.add("/origin", image.device_bytes)->write(0, image.views.origin);
    cow_ = opener_.add("/cow", image.cow.size());
    cow_->write(0, as_bytes(image.cow));

    OriginTable origin_target;
    origin_target.device = "/origin";
    Table origin;
    origin.name = "origin";
    origin.target = origin_target;
    SnapshotTable target;
    target.origin = "origin";
    target.cow.path = "/cow";
    if (image.store == "PO") target.store = StoreType::persistent_overflow;
    target.chunk_sectors = image.chunk_sectors;
    target.chunk_given = true;
    Table snapshot;
    snapshot.name = "snap";
    snapshot.target = target;
    devices_.load({origin, snapshot});
  }

  std::shared_ptr<Target> snapshot() const {
    return devices_.find("snap")->live();
  }
  std::shared_ptr<Target> origin() const {
    return devices_.find("origin")->live();
  }
  // What is left of it, as a device of its own.
  std::shared_ptr<SalvagedSnapshot> salvage() {
    SnapshotTable target;
    target.origin = "origin";
    target.cow.path = "/cow";
    target.salvage = true;
    Table table;
    table.name = "left";
    table.target = target;
    devices_.load({table});
    return std::dynamic_pointer_cast<SalvagedSnapshot>(
        devices_.find("left")->live());
  }
  std::vector<std::byte> cow_content() const { return cow_->content(); }

 private:
  MemoryOpener opener_;
  NoEvents events_;
  std::shared_ptr<MemoryDevice> cow_;
  DeviceSet devices_;
};

std::vector<std::byte> read_all(Target& target) {
  std::vector<std::byte> data(target.size());
  target.read(0, data);
  return data;
}

// Empty, or the first sector that differs in words.
std::string difference(const std::vector<std::byte>& found,
                       const std::vector<std::byte>& wanted) {
  if (found.size() != wanted.size()) return "the sizes differ";
  for (size_t at = 0; at < wanted.size(); at += kSectorBytes) {
    auto have = std::span(found).subspan(at, kSectorBytes);
    auto want = std::span(wanted).subspan(at, kSectorBytes);
    if (std::ranges::equal(have, want)) continue;
    return "at sector " + std::to_string(at / kSectorBytes) + ": expected " +
           describe_sector(want) + ", found " + describe_sector(have);
  }
  return "";
}

std::vector<std::string> image_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(SNAPFS_GOLDEN_DIR)) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::ranges::sort(names);
  return names;
}

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  const Image image_{fs::path(SNAPFS_GOLDEN_DIR) / GetParam()};
};

TEST_P(Golden, operations_explain_what_the_kernel_saw) {
  EXPECT_EQ(sha256(image_.views.origin), image_.expected.at("origin_sha256"));
  if (image_.is_valid()) {
    EXPECT_EQ(sha256(image_.views.snapshot),
              image_.expected.at("snapshot_sha256"));
  }
}

TEST_P(Golden, status_line_is_the_kernels) {
  LoadedImage loaded(image_);
  EXPECT_EQ(loaded.snapshot()->status_line(), image_.expected.at("status"));
}

TEST_P(Golden, both_views_read_as_in_the_kernel) {
  LoadedImage loaded(image_);
  EXPECT_EQ(difference(read_all(*loaded.origin()), image_.views.origin), "");
  if (image_.is_valid()) {
    EXPECT_EQ(difference(read_all(*loaded.snapshot()), image_.views.snapshot),
              "");
  } else {
    EXPECT_THROW(read_all(*loaded.snapshot()), std::system_error);
  }
}

TEST_P(Golden, loading_and_reading_writes_nothing) {
  LoadedImage loaded(image_);
  if (image_.is_valid()) read_all(*loaded.snapshot());
  loaded.snapshot()->flush();
  std::vector<std::byte> cow = loaded.cow_content();
  EXPECT_TRUE(std::ranges::equal(cow, as_bytes(image_.cow)));
}

// Whatever the kernel recorded before it gave the snapshot up is as it was; of
// the rest nobody knows.
TEST(GoldenInvalid, what_the_kernel_recorded_can_be_salvaged) {
  const Image image(fs::path(SNAPFS_GOLDEN_DIR) / "p8-invalid");
  LoadedImage loaded(image);

  const auto salvage = loaded.salvage();

  std::vector<std::byte> shown = read_all(*salvage);
  std::vector<std::byte> wanted = image.views.snapshot;
  uint64_t trusted = image.device_bytes;
  for (const ByteRange& range : salvage->untrusted()) {
    for (std::vector<std::byte>* view : {&shown, &wanted}) {
      std::ranges::fill(std::span(*view).subspan(range.offset, range.length),
                        std::byte{0});
    }
    trusted -= range.length;
  }
  EXPECT_EQ(difference(shown, wanted), "");
  // All data chunks, behind the header and the area of records.
  EXPECT_EQ(trusted, image.cow.size() - 2 * image.chunk_sectors * kSectorBytes);
  EXPECT_TRUE(std::ranges::equal(loaded.cow_content(), as_bytes(image.cow)));
}

INSTANTIATE_TEST_SUITE_P(Images, Golden, ::testing::ValuesIn(image_names()),
                         [](const auto& image) {
                           std::string name = image.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace snapfs::test

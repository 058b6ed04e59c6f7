// SPDX-License-Identifier: MIT
//
// The examples of core/FORMAT.md are what the program does: each block that
// follows an `<!-- example: NAME -->` is compared with a COW device, or with
// the writes that arrived at one.
#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <iomanip>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/device_set.h"
#include "core/persistent_store.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

// The text between the fences of an example; empty if there is none.
std::string example(const std::string& name) {
  std::ifstream in(SNAPFS_SOURCE_DIR "/core/FORMAT.md");
  std::string text{std::istreambuf_iterator<char>(in), {}};
  size_t at = text.find("<!-- example: " + name + " -->\n```\n");
  if (at == std::string::npos) return "";
  size_t begin = text.find("```\n", at) + 4;
  return text.substr(begin, text.find("```\n", begin) - begin);
}

// What stands in the lines of a trace before the remarks.
std::string without_remarks(const std::string& trace) {
  std::istringstream lines(trace);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string op, offset, length;
    words >> op;
    if (op != "flush") words >> offset >> length;
    result += op + " " + offset + " " + length + "\n";
  }
  return result;
}

std::string hexadecimal(uint64_t value, int digits) {
  std::ostringstream text;
  text << std::hex << std::setw(digits) << std::setfill('0') << value;
  return text.str();
}

// As `hexdump -C` prints it.
std::string hexdump(const std::vector<std::byte>& data) {
  constexpr size_t kWidth = 16;
  std::string dump, previous;
  bool starred = false;
  for (size_t at = 0; at < data.size(); at += kWidth) {
    std::string hex, letters;
    for (size_t i = at; i < at + kWidth; ++i) {
      auto value = std::to_integer<unsigned>(data[i]);
      hex += (i == at + kWidth / 2 ? "  " : " ") + hexadecimal(value, 2);
      letters += std::isprint(static_cast<int>(value)) != 0
                     ? static_cast<char>(value)
                     : '.';
    }
    if (hex == previous) {
      if (!starred) dump += "*\n";
      starred = true;
      continue;
    }
    starred = false;
    previous = hex;
    dump += hexadecimal(at, 8) + " " + hex + "  |" + letters + "|\n";
  }
  return dump + hexadecimal(data.size(), 8) + "\n";
}

// Writes down what changes the device.
class TracingDevice : public MemoryDevice {
 public:
  using MemoryDevice::MemoryDevice;

  void write(uint64_t offset, std::span<const std::byte> from) override {
    add("write", {offset, from.size()});
    MemoryDevice::write(offset, from);
  }
  void write_durable(uint64_t offset,
                     std::span<const std::byte> from) override {
    add("durable", {offset, from.size()});
    MemoryDevice::write(offset, from);
  }
  void zero(ByteRange range) override {
    add("zero", range);
    MemoryDevice::zero(range);
  }
  void flush() override { trace_ += "flush  \n"; }

  // The trace since the last call.
  std::string take_trace() { return std::exchange(trace_, ""); }

 private:
  void add(const std::string& op, ByteRange range) {
    trace_ += op + " " + std::to_string(range.offset) + " " +
              std::to_string(range.length) + "\n";
  }

  std::string trace_;
};

// The devices of the worked example.
class WorkedExample : public ::testing::Test {
 protected:
  WorkedExample() : devices_(opener_, events_) {
    origin_->write(0, filled('o', kOriginBytes));
    opener_.add("/origin", origin_);
    opener_.add("/cow", cow_);
    devices_.load(
        {origin_table("base", "/origin"),
         snapshot_table("snap", "base", "/cow", StoreType::persistent, 8)});
  }

  static std::vector<std::byte> filled(char with, size_t count) {
    // In braces they would be elements.
    // NOLINTNEXTLINE(modernize-return-braced-init-list)
    return std::vector<std::byte>(count, std::byte(with));
  }

  void write(const std::string& device, uint64_t chunk, uint64_t count) {
    devices_.find(device)->live()->write(chunk * kChunkBytes,
                                         filled('s', count * kChunkBytes));
  }

  static constexpr uint64_t kOriginBytes = uint64_t{1} << 20;
  static constexpr uint64_t kChunkBytes = 4096;

  std::shared_ptr<TracingDevice> origin_ =
      std::make_shared<TracingDevice>(kOriginBytes, "/origin");
  std::shared_ptr<TracingDevice> cow_ =
      std::make_shared<TracingDevice>(64 * 1024);
  MemoryOpener opener_;
  EventRecorder events_;
  DeviceSet devices_;
};

TEST_F(WorkedExample, new_store_is_written_as_described) {
  EXPECT_EQ(cow_->take_trace(), without_remarks(example("new store")));
}

TEST_F(WorkedExample, commit_is_written_as_described) {
  write("snap", 7, 1);
  cow_->take_trace();
  write("base", 100, 2);
  EXPECT_EQ(cow_->take_trace(), without_remarks(example("commit")));
}

TEST_F(WorkedExample, image_is_the_one_shown) {
  write("snap", 7, 1);
  write("base", 100, 2);
  EXPECT_EQ(hexdump(cow_->content()), example("image"));
  EXPECT_EQ(devices_.find("snap")->live()->status_line(),
            "0 2048 snapshot 40/128 16");
}

TEST_F(WorkedExample, merge_is_written_as_described) {
  write("snap", 7, 1);
  write("base", 100, 2);
  devices_.load({merge_table("base", "/origin", "/cow")});
  devices_.suspend("snap");
  origin_->take_trace();
  cow_->take_trace();

  devices_.merge_step("base");

  EXPECT_EQ(origin_->take_trace() + cow_->take_trace(),
            without_remarks(example("merge")));
}

TEST_F(WorkedExample, revert_is_written_as_described) {
  write("snap", 7, 1);
  write("base", 100, 2);
  devices_.revert("snap", {});
  origin_->take_trace();
  cow_->take_trace();

  devices_.merge_step("base");

  EXPECT_EQ(origin_->take_trace() + cow_->take_trace(),
            without_remarks(example("revert")));
}

TEST(Format, area_crossing_is_written_as_described) {
  auto cow = std::make_shared<TracingDevice>(64 * kSectorBytes);
  auto store = PersistentStore::create(cow, ChunkSize(1));
  auto record = [&](uint64_t first, uint64_t count) {
    auto reservation = store->reserve(count);
    ASSERT_TRUE(reservation);
    std::vector<ExceptionRun> runs = pair_up({{first, count}}, *reservation);
    for (const ExceptionRun& run : runs) {
      cow->write(run.new_chunk * kSectorBytes,
                 std::vector<std::byte>(run.count * kSectorBytes));
    }
    store->hand_in(*reservation, runs);
    store->commit();
  };
  record(0, 31);
  cow->take_trace();
  record(31, 3);
  EXPECT_EQ(cow->take_trace(), without_remarks(example("crossing")));
}

}  // namespace
}  // namespace snapfs::test

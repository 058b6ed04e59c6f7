// SPDX-License-Identifier: MIT
//
// Random operations on an origin and its snapshots, compared byte for byte and
// status line for status line with a reference that knows nothing of stores:
// arrays of bytes, sets of chunks and the allocation rule of the format. COW
// devices grow, and are full in all the ways that a table can ask for.
// SNAPFS_SEED replays one seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/error.h"
#include "core/no_room_yet.h"
#include "tests/model/allocation_model.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/seed.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

using Bytes = std::vector<std::byte>;

// Not a multiple of any chunk size but the smallest.
constexpr uint64_t kOriginSectors = 1531;
constexpr uint64_t kOriginBytes = kOriginSectors * kSectorBytes;

// Says that everything is data, so that the reference need not know of holes.
class SolidDevice : public MemoryDevice {
 public:
  using MemoryDevice::MemoryDevice;
  Extent extent_at(uint64_t offset) override { return {true, size() - offset}; }
};

struct SnapshotModel {
  Table table;
  StoreType type = StoreType::persistent;
  uint64_t chunk_bytes = 0;
  uint64_t length = 0;
  Bytes content;
  std::set<uint64_t> excepted;
  std::optional<AllocationModel> allocation;
  bool invalid = false;
  bool overflowed = false;
  std::shared_ptr<MemoryDevice> cow;

  const WhenFull& when_full() const {
    return std::get<SnapshotTable>(table.target).space.when_full;
  }
  bool has_room_for(ByteRange range) const {
    return AllocationModel(*allocation).allocate(missing(range).size());
  }

  std::vector<uint64_t> missing(ByteRange range) const {
    std::vector<uint64_t> chunks;
    range = clip(range, length);
    if (range.empty()) return chunks;
    for (uint64_t chunk = range.offset / chunk_bytes;
         chunk <= (range.end() - 1) / chunk_bytes; ++chunk) {
      if (!excepted.contains(chunk)) chunks.push_back(chunk);
    }
    return chunks;
  }

  // True if the chunks are excepted now.
  bool except(ByteRange range) {
    std::vector<uint64_t> chunks = missing(range);
    if (!allocation->allocate(chunks.size())) return false;
    excepted.insert(chunks.begin(), chunks.end());
    return true;
  }

  std::string status() const {
    std::string line =
        "0 " + std::to_string(length / kSectorBytes) + " snapshot ";
    if (invalid) return line + "Invalid";
    if (overflowed) return line + "Overflow";
    return line + allocation->usage();
  }
};

class World {
 public:
  World(uint64_t seed, bool tight) : random_(seed), tight_(tight) {
    auto device = std::make_shared<SolidDevice>(kOriginBytes, "origin");
    origin_ = random_bytes(kOriginBytes);
    device->write(0, origin_);
    opener_.add("origin", device);
    open();
  }

  void run(unsigned steps) {
    for (unsigned i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      step_ = i;
      step();
    }
    check_all();
    reopen();
    check_all();
  }

 private:
  uint64_t pick(uint64_t below) {
    return std::uniform_int_distribution<uint64_t>(0, below - 1)(random_);
  }

  Bytes random_bytes(uint64_t count) {
    Bytes bytes(count);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random_());
    return bytes;
  }

  // Mostly sectors, sometimes odd bytes, sometimes large.
  ByteRange random_range(uint64_t length) {
    static constexpr uint64_t kLengths[] = {1,    512,  512,   4096,
                                            4096, 8192, 65536, 200000};
    uint64_t unit = pick(4) == 0 ? 1 : kSectorBytes;
    uint64_t offset = pick(length / unit) * unit;
    uint64_t wanted = kLengths[pick(std::size(kLengths))];
    if (unit == 1) wanted += pick(700);
    return {offset, std::min(wanted, length - offset)};
  }

  void open() {
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    std::vector<Table> tables;
    for (auto& [name, model] : snapshots_) tables.push_back(model.table);
    tables.push_back(origin_table("base", "origin"));
    set_->load(tables);
  }

  void reopen() {
    set_.reset();
    // A transient store is empty after that, and its snapshot shows the origin.
    for (auto it = snapshots_.begin(); it != snapshots_.end();) {
      it = it->second.type == StoreType::transient ? snapshots_.erase(it)
                                                   : std::next(it);
    }
    // Overflow is not kept; an invalid header is.
    for (auto& [name, model] : snapshots_) model.overflowed = false;
    open();
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_->find(name)->live();
  }

  void step() {
    unsigned kind = static_cast<unsigned>(pick(100));
    if (snapshots_.empty() || (kind < 2 && snapshots_.size() < 4)) {
      add_snapshot();
    } else if (kind < 3) {
      remove_snapshot();
    } else if (kind < 4) {
      reopen();
    } else if (kind < 30) {
      write_origin(pick(6) == 0);
    } else if (kind < 65) {
      write_snapshot(pick(6) == 0);
    } else if (kind < 70) {
      discard_snapshot();
    } else if (kind < 73) {
      any_snapshot().first->flush();
    } else if (kind < 75) {
      grow_cow();
    } else {
      check_some();
    }
  }

  std::pair<std::shared_ptr<Target>, SnapshotModel*> any_snapshot() {
    auto it = snapshots_.begin();
    std::advance(it, pick(snapshots_.size()));
    return {target(it->first), &it->second};
  }

  void add_snapshot() {
    static constexpr uint64_t kChunks[] = {1, 2, 8, 16, 64, 128, 1024};
    std::string name = "s" + std::to_string(next_name_++);
    SnapshotModel model;
    uint64_t chunk = kChunks[pick(std::size(kChunks))];
    model.type = static_cast<StoreType>(pick(3));
    // Room for everything, or for some of it.
    uint64_t cow_sectors = 2 * kOriginSectors + 6 * chunk;
    if (tight_) cow_sectors = 3 * chunk + pick(kOriginSectors);
    model.cow = std::make_shared<SolidDevice>(cow_sectors * kSectorBytes,
                                              "cow-" + name);
    opener_.add("cow-" + name, model.cow);
    model.table =
        snapshot_table(name, "base", "cow-" + name, model.type, chunk);
    SnapshotTable& table = snapshot_of(model.table);
    table.discard_zeroes_cow = pick(2) == 0;
    if (pick(3) == 0) table.length_sectors = 1 + pick(kOriginSectors);
    if (tight_) table.space.when_full = random_policy(cow_sectors, chunk);
    model.cow->set_filesystem(uint64_t{1} << 40);
    model.chunk_bytes = chunk * kSectorBytes;
    model.length = table.length_sectors.value_or(kOriginSectors) * kSectorBytes;
    model.content.assign(
        origin_.begin(),
        origin_.begin() + static_cast<std::ptrdiff_t>(model.length));
    model.allocation.emplace(model.type, chunk, cow_sectors);
    set_->load({model.table});
    snapshots_.emplace(name, std::move(model));
  }

  WhenFull random_policy(uint64_t cow_sectors, uint64_t chunk) {
    WhenFull result;
    if (pick(4) == 0) {
      result.grow = {(1 + pick(4)) * chunk * kSectorBytes,
                     (cow_sectors + pick(kOriginSectors)) * kSectorBytes};
    }
    if (pick(4) == 0) result.wait = std::chrono::hours(1);
    result.refuse_origin = pick(4) == 0;
    return result;
  }

  // Somebody makes the device larger; an overflow may be over with that.
  void grow_cow() {
    auto it = snapshots_.begin();
    std::advance(it, pick(snapshots_.size()));
    SnapshotModel& model = it->second;
    extend(model, 1 + pick(200));
    if (pick(2) == 0 || model.invalid) return;
    int error = error_of([&] { set_->resume(it->first); });
    follow_growth(model);
    const bool clears = AllocationModel(*model.allocation).allocate(1);
    EXPECT_EQ(error, model.overflowed && !clears ? ENOSPC : 0) << where(&model);
    if (clears) model.overflowed = false;
  }

  void extend(SnapshotModel& model, uint64_t sectors) {
    model.cow->set_size(model.cow->size() + sectors * kSectorBytes);
    model.allocation->resize(model.cow->size() / kSectorBytes);
  }

  // What a table that may extend its COW has done.
  void follow_growth(SnapshotModel& model) {
    const uint64_t sectors = model.cow->size() / kSectorBytes;
    if (sectors == model.allocation->cow_sectors()) return;
    ASSERT_TRUE(model.when_full().grow) << where(&model);
    ASSERT_LE(model.cow->size(), model.when_full().grow->max_bytes);
    model.allocation->resize(sectors);
  }

  template <typename Call>
  static int error_of(const Call& call) {
    try {
      call();
    } catch (const std::system_error& error) {
      return errno_of(error);
    }
    return 0;
  }

  // Who is told to wait finds everything as it was, until somebody makes the
  // device larger.
  template <typename Call>
  int error_after_waiting(const Call& call) {
    for (;;) {
      try {
        return error_of([&] {
          try {
            call();
          } catch (const NoRoomYet& not_now) {
            throw Waits{not_now.code(), not_now.what()};
          }
        });
      } catch (const Waits& waits) {
        bool is_one_full = false;
        for (auto& [name, model] : snapshots_) {
          follow_growth(model);
          if (!model.invalid && !model.overflowed) {
            EXPECT_EQ(target(name)->status_line(), model.status());
          }
          if (!model.when_full().wait ||
              waits.what != name + ": the exception store is full") {
            continue;
          }
          is_one_full = true;
          extend(model, 1 + pick(2 * model.chunk_bytes / kSectorBytes));
        }
        if (!is_one_full) {
          ADD_FAILURE() << "nobody is full: " << waits.what;
          return -1;
        }
      }
    }
  }
  struct Waits {
    std::error_code code;
    std::string what;
  };

  void remove_snapshot() {
    auto it = snapshots_.begin();
    std::advance(it, pick(snapshots_.size()));
    set_->remove(it->first);
    snapshots_.erase(it);
  }

  // A request goes in pieces of 4 MiB, more than there is.
  void write_origin(bool zeroes) {
    ByteRange range = random_range(kOriginBytes);
    Bytes data = zeroes ? Bytes(range.length) : random_bytes(range.length);
    int error = error_after_waiting([&] {
      if (zeroes) {
        target("base")->zero(range);
      } else {
        target("base")->write(range.offset, data);
      }
    });
    bool is_refused = false;
    for (auto& [name, model] : snapshots_) {
      follow_growth(model);
      is_refused |= !model.invalid && model.when_full().refuse_origin &&
                    !model.when_full().wait && !model.has_room_for(range);
    }
    ASSERT_EQ(error, is_refused ? EIO : 0) << "step " << step_;
    if (is_refused) return;
    for (auto& [name, model] : snapshots_) {
      if (!model.invalid && !model.except(range)) model.invalid = true;
    }
    put(origin_, range.offset, data);
  }

  void write_snapshot(bool zeroes) {
    auto [device, model] = any_snapshot();
    ByteRange range = random_range(model->length);
    Bytes data = zeroes ? Bytes(range.length) : random_bytes(range.length);
    int error = error_after_waiting([&, target = device] {
      if (zeroes) {
        target->zero(range);
      } else {
        target->write(range.offset, data);
      }
    });
    follow_growth(*model);
    bool writable = !model->invalid && !model->overflowed;
    if (writable && model->except(range)) {
      ASSERT_EQ(error, 0) << where(model);
      put(model->content, range.offset, data);
      return;
    }
    ASSERT_EQ(error, EIO) << where(model);
    if (!writable) return;
    if (model->type == StoreType::persistent_overflow) {
      model->overflowed = true;
    } else if (!model->when_full().refuse_origin) {
      model->invalid = true;
      return;
    }
    // What the failed write could do without space may have been done.
    accept_either(*device, model, range, data);
  }

  void discard_snapshot() {
    auto [device, model] = any_snapshot();
    if (model->invalid || model->overflowed) return;
    ByteRange range = random_range(model->length);
    int error = 0;
    try {
      device->discard(range);
    } catch (const std::system_error& failure) {
      error = errno_of(failure);
    }
    follow_growth(*model);
    Bytes zeroes(range.length);
    if (!snapshot_of(model->table).discard_zeroes_cow) {
      ASSERT_EQ(error, EOPNOTSUPP);
      return;
    }
    if (model->allocation->has_room_for(model->missing(range).size()) &&
        model->except(range)) {
      ASSERT_EQ(error, 0) << where(model);
      put(model->content, range.offset, zeroes);
      return;
    }
    ASSERT_EQ(error, EOPNOTSUPP) << where(model);
    accept_either(*device, model, range, zeroes);
  }

  // A request that was refused half-way: each byte is the old or the new one.
  void accept_either(Target& device, SnapshotModel* model, ByteRange range,
                     const Bytes& data) {
    Bytes now(range.length);
    device.read(range.offset, now);
    for (uint64_t i = 0; i < range.length; ++i) {
      std::byte& old = model->content[range.offset + i];
      ASSERT_TRUE(now[i] == old || now[i] == data[i])
          << where(model) << " byte " << range.offset + i;
      old = now[i];
    }
  }

  static void put(Bytes& into, uint64_t offset, const Bytes& data) {
    std::copy(data.begin(), data.end(),
              into.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  void check_some() {
    auto [device, model] = any_snapshot();
    check(*device, *model, random_range(model->length));
    ByteRange range = random_range(kOriginBytes);
    check_origin(range);
  }

  void check_all() {
    check_origin({0, kOriginBytes});
    for (auto& [name, model] : snapshots_) {
      check(*target(name), model, {0, model.length});
    }
  }

  void check_origin(ByteRange range) {
    Bytes data(range.length);
    target("base")->read(range.offset, data);
    ASSERT_TRUE(
        std::equal(data.begin(), data.end(),
                   origin_.begin() + static_cast<std::ptrdiff_t>(range.offset)))
        << "origin, step " << step_;
  }

  void check(Target& device, SnapshotModel& model, ByteRange range) {
    ASSERT_EQ(device.status_line(), model.status()) << where(&model);
    Bytes data(range.length);
    if (model.invalid) {
      ASSERT_THROW(device.read(range.offset, data), std::system_error);
      return;
    }
    device.read(range.offset, data);
    for (uint64_t i = 0; i < range.length; ++i) {
      ASSERT_EQ(data[i], model.content[range.offset + i])
          << where(&model) << " byte " << range.offset + i;
    }
  }

  std::string where(const SnapshotModel* model) const {
    return model->table.name + " (" + to_string(model->type) + ", chunk " +
           std::to_string(model->chunk_bytes / kSectorBytes) + "), step " +
           std::to_string(step_);
  }

  std::mt19937_64 random_;
  const bool tight_;
  unsigned step_ = 0;
  unsigned next_name_ = 0;
  Bytes origin_;
  std::map<std::string, SnapshotModel> snapshots_;
  MemoryOpener opener_;
  EventRecorder events_;
  std::unique_ptr<DeviceSet> set_;
};

void run_worlds(bool tight) {
  for (unsigned i = 0; i < (is_replay() ? 1 : 20); ++i) {
    const uint64_t seed = next_seed();
    SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
    World(seed, tight).run(400);
    if (testing::Test::HasFailure()) {
      std::cerr << "replay with SNAPFS_SEED=" << seed << "\n";
      return;
    }
  }
}

TEST(SnapshotModelTest, random_operations_match_byte_arrays) {
  run_worlds(false);
}

TEST(SnapshotModelTest, random_operations_on_full_stores_match_the_model) {
  run_worlds(true);
}

}  // namespace
}  // namespace snapfs::test

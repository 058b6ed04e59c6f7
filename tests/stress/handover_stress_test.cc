// SPDX-License-Identifier: MIT
//
// Stores change hands while threads write the origin and use the snapshot, as
// requests on its files would: through the gate of the device, parking where it
// is closed. SNAPFS_SEED replays one seed (the scheduling is the machine's).
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/device_set.h"
#include "core/error.h"
#include "tests/support/memory_opener.h"
#include "tests/support/parked_thread.h"
#include "tests/support/pattern.h"
#include "tests/support/seed.h"
#include "tests/support/tables.h"
#include "tests/support/yielding_device.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kSectors = 2000;
constexpr uint64_t kBlockSectors = 5;  // owned by one thread
constexpr unsigned kThreads = 3;       // on the origin, and on the snapshot
constexpr unsigned kHandovers = 320;
constexpr uint64_t kFirstGeneration = 1;

template <typename Condition>
void wait_until(const Condition& condition) {
  while (!condition() && !testing::Test::HasFailure()) {
    std::this_thread::yield();
  }
}

class Stress {
 public:
  explicit Stress(uint64_t seed) : seed_(seed) {
    auto origin =
        std::make_shared<YieldingDevice>(kSectors * kSectorBytes, "origin");
    origin->write(0, stamped(0, kSectors, kFirstGeneration));
    opener_.add("origin", origin);
    opener_.add("cow", std::make_shared<YieldingDevice>(
                           3 * kSectors * kSectorBytes, "cow"));
    for (auto& generations : expected_) {
      generations.assign(kSectors, kFirstGeneration);
    }
    open("s0");
  }

  void run() {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; ++i) {
      threads.emplace_back([this, i] { work(kOrigin, i); });
      threads.emplace_back([this, i] { work(kSnapshot, i); });
    }
    threads.emplace_back([this] { watch(); });
    for (unsigned i = 0; i < kHandovers && !testing::Test::HasFailure(); ++i) {
      hand_over(i);
      const uint64_t before = operations_;
      wait_until([&] { return operations_ > before + 20; });
    }
    done_ = true;
    for (std::thread& thread : threads) thread.join();
    verify();
    const std::string name = snapshot()->name();
    set_.reset();
    open(name);
    verify();
  }

  uint64_t refused() const { return refused_; }

 private:
  enum Which : unsigned { kOrigin, kSnapshot };

  static Table table(const std::string& name, Activate activate,
                     StoreType type) {
    Table table = snapshot_table(name, "base", "cow", type, 8);
    table.activate = activate;
    snapshot_of(table).commit_interval = std::chrono::milliseconds(1);
    return table;
  }

  void open(const std::string& name) {
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    set_->load({origin_table("base", "origin"),
                table(name, Activate::on_freeze, StoreType::persistent)});
    base_ = set_->find("base");
    set_snapshot(set_->find(name));
  }

  std::shared_ptr<Device> snapshot() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return snapshot_;
  }
  void set_snapshot(std::shared_ptr<Device> device) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    snapshot_ = std::move(device);
  }

  // Every other time under the same name, in each of the three ways.
  void hand_over(unsigned number) {
    const std::string source = snapshot()->name();
    const bool same_name = number % 2 == 0;
    const std::string target =
        same_name ? source : "s" + std::to_string(number);
    const auto activate = static_cast<Activate>(number / 2 % 3);
    set_->load({table(target, activate,
                      number % 4 == 0 ? StoreType::persistent_overflow
                                      : StoreType::persistent)});
    if (activate == Activate::on_freeze) set_->suspend(source);
    if (activate == Activate::manual) {
      set_->suspend(source);
      set_->resume(target);
    }
    ASSERT_EQ(set_->find(target)->state_text(), "live\n");
    if (same_name) return;
    ASSERT_EQ(set_->find(source)->state_text(),
              "handed over to " + target + "\n");
    set_snapshot(set_->find(target));
    set_->remove(source);
  }

  void work(Which which, unsigned thread) {
    std::mt19937_64 random(seed_ + 2 * thread + which);
    auto pick = [&](uint64_t below) { return random() % below; };
    for (uint64_t count = 0; !done_ && !testing::Test::HasFailure(); ++count) {
      const uint64_t block =
          pick(kSectors / kBlockSectors / kThreads) * kThreads + thread;
      const uint64_t first = block * kBlockSectors + pick(kBlockSectors);
      const uint64_t length = 1 + pick((block + 1) * kBlockSectors - first);
      const uint64_t kind = pick(100);
      if (kind < 55) {
        const uint64_t generation = 2 * (count % 10000) + 2 + which;
        const auto data = stamped(first, length, generation);
        request(which, [&](Target& target) {
          target.write(first * kSectorBytes, data);
        });
        std::fill_n(
            expected_[which].begin() + static_cast<std::ptrdiff_t>(first),
            length, generation);
      } else if (kind < 57) {
        request(which, [](Target& target) { target.flush(); });
      } else {
        expect(which, first, length);
      }
      ++operations_;
    }
  }

  // Carries it out, on whichever device has the store.
  template <typename Action>
  void request(Which which, const Action& action) {
    while (!try_request(which == kOrigin ? base_ : snapshot(), action)) {
      if (testing::Test::HasFailure()) return;
      std::this_thread::yield();
    }
  }

  // False: EIO, as it must be on a device that has no store any more.
  template <typename Action>
  bool try_request(const std::shared_ptr<Device>& device,
                   const Action& action) {
    auto pass = enter(*device);
    std::shared_ptr<Target> target = device->live();
    if (target == nullptr) {
      EXPECT_EQ(device->state(), DeviceState::removed);
      ++refused_;
      return false;
    }
    try {
      action(*target);
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), Errc::handed_over) << error.what();
      ++refused_;
      return false;
    }
    return true;
  }

  void expect(Which which, uint64_t first, uint64_t length) {
    std::vector<std::byte> data(length * kSectorBytes);
    request(which,
            [&](Target& target) { target.read(first * kSectorBytes, data); });
    for (uint64_t i = 0; i < length; ++i) {
      std::span sector(&data[i * kSectorBytes], kSectorBytes);
      ASSERT_EQ(
          stamp_difference(sector, first + i, expected_[which][first + i]), "")
          << (which == kOrigin ? "origin" : "snapshot");
    }
  }

  // What reads the control files, and a daemon that is asked to end.
  void watch() {
    while (!done_ && !testing::Test::HasFailure()) {
      for (const auto& device : set_->devices()) {
        std::shared_ptr<Target> target = device->live();
        if (target == nullptr) continue;
        EXPECT_NE(device->state_text(), "");
        const std::string status = target->status_line();
        // A source is invalid from the swap on, which its state tells later.
        if (status.ends_with(" Invalid")) {
          wait_until([&] { return device->state() != DeviceState::suspended; });
          EXPECT_TRUE(device->live() != target ||
                      device->state() != DeviceState::live)
              << device->name();
        }
        EXPECT_NE(target->table_line() + target->details(), "");
        EXPECT_NE(target->allocated_sectors(), 1u);
      }
      set_->flush_all();
      std::this_thread::yield();
    }
  }

  void verify() {
    expect(kOrigin, 0, kSectors);
    expect(kSnapshot, 0, kSectors);
    EXPECT_EQ(events_.count(EventKind::invalid), 0u);
    EXPECT_EQ(events_.count(EventKind::error), 0u);
  }

  const uint64_t seed_;
  MemoryOpener opener_;
  EventRecorder events_;
  std::unique_ptr<DeviceSet> set_;
  std::shared_ptr<Device> base_;
  std::vector<uint64_t> expected_[2];  // generation of each sector
  std::atomic<uint64_t> operations_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<bool> done_{false};

  Mutex mutex_;
  std::shared_ptr<Device> snapshot_ GUARDED_BY(mutex_);
};

TEST(HandoverStressTest, handovers_disturb_nobody_but_the_old_name) {
  const uint64_t seed = next_seed();
  std::cout << "SNAPFS_SEED=" << seed << std::endl;

  Stress stress(seed);
  stress.run();

  std::cout << stress.refused() << " requests came to an old name" << std::endl;
}

// --- groups ------------------------------------------------------------------

constexpr unsigned kGroups = 50;

// A counter in the first sector of a device.
void put_counter(Device& device, uint64_t value) {
  std::vector<std::byte> sector(kSectorBytes);
  std::memcpy(sector.data(), &value, sizeof value);
  auto pass = enter(device);
  device.live()->write(0, sector);
}

uint64_t counter_of(Device& device) {
  std::vector<std::byte> sector(kSectorBytes);
  auto pass = enter(device);
  device.live()->read(0, sector);
  uint64_t value = 0;
  std::memcpy(&value, sector.data(), sizeof value);
  return value;
}

TEST(HandoverStressTest, snapshots_loaded_together_show_one_point_in_time) {
  MemoryOpener opener;
  EventRecorder events;
  DeviceSet set(opener, events);
  for (const char* path : {"a-disk", "b-disk", "a-cow", "b-cow"}) {
    opener.add(path, std::make_shared<YieldingDevice>(64 * 4096, path));
  }
  set.load({origin_table("A", "a-disk"), origin_table("B", "b-disk")});
  std::shared_ptr<Device> a = set.find("A");
  std::shared_ptr<Device> b = set.find("B");
  std::atomic<bool> done{false};
  std::atomic<uint64_t> counter{0};
  std::thread writer([&] {
    while (!done) {
      const uint64_t next = counter + 1;
      put_counter(*a, next);
      put_counter(*b, next);
      counter = next;
    }
  });

  unsigned between = 0;  // groups taken after A was written, and before B was
  for (unsigned i = 0; i < kGroups && !testing::Test::HasFailure(); ++i) {
    const uint64_t before = counter;
    wait_until([&] { return counter > before; });
    if (i % 2 == 0) std::this_thread::yield();  // the other write, mostly
    set.load({snapshot_table("as", "A", "a-cow", StoreType::transient, 8),
              snapshot_table("bs", "B", "b-cow", StoreType::transient, 8)});
    const uint64_t in_a = counter_of(*set.find("as"));
    const uint64_t in_b = counter_of(*set.find("bs"));
    EXPECT_TRUE(in_a == in_b || in_a == in_b + 1)
        << "A has " << in_a << ", B has " << in_b;
    EXPECT_GT(in_a, before);
    between += in_a == in_b + 1;
    set.remove("as");
    set.remove("bs");
  }
  done = true;
  writer.join();

  std::cout << between << " of " << kGroups << " groups fell between the writes"
            << std::endl;
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Random tables, handovers, suspensions and writes over two origins, compared
// after every step with handover_model.h: outcome, states, status and table
// lines, bytes, and which parked request was woken. After a crash there is what
// the last flush had seen. SNAPFS_SEED replays one seed.
#include "tests/model/handover_model.h"

#include <gtest/gtest.h>

#include <iostream>
#include <memory>
#include <random>
#include <utility>

#include "core/device_set.h"
#include "core/error.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/seed.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr unsigned kWorlds = 25;
constexpr unsigned kSteps = 500;

struct WatcherCounts : DeviceWatcher {
  void before_freeze(Device&) override { ++freezes; }
  void after_freeze(Device&) override { ++frozen; }
  void after_change(Device&) override { ++changes; }
  uint64_t freezes = 0;
  uint64_t frozen = 0;
  uint64_t changes = 0;
};

// A write that came while its device was suspended.
struct ParkedWrite : Parked {
  void wake() override { ++woken; }
  std::shared_ptr<Device> device;
  uint64_t offset = 0;
  Bytes data;
  unsigned woken = 0;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {
    for (auto [name, sectors] : {std::pair{"o1", 531u}, {"o2", 1024u}}) {
      OriginModel& origin = model_.origins[name];
      origin.content = random_bytes(sectors * kSectorBytes);
      origin.length = origin.content.size();
      std::string path = std::string("dev-") + name;
      disks_.push_back(opener_.add(path, origin.content.size()));
      disks_.back()->write(0, origin.content);
    }
    for (unsigned i = 0; i < kCows; ++i) {
      // Every other one is too small for everything.
      uint64_t sectors = i % 2 == 0 ? 2500 : 140 + pick(500);
      std::string name = "cow" + std::to_string(i);
      model_.cows[name].sectors = sectors;
      disks_.push_back(opener_.add(name, sectors * kSectorBytes));
    }
    open({});
  }

  // Adds the states that were seen to `states`.
  void run(std::set<std::string>& states) {
    for (step_ = 0; step_ < kSteps && !testing::Test::HasFailure(); ++step_) {
      SCOPED_TRACE("step " + std::to_string(step_));
      step();
      finish_parked();
      compare(states);
      if (pick(20) == 0) compare_content();
    }
    compare_content();
    // Requests that are parked at the end get their answer.
    set_.reset();
    finish_parked();
    EXPECT_TRUE(parked_.empty());
  }

 private:
  static constexpr unsigned kCows = 6;

  uint64_t pick(uint64_t below) {
    return std::uniform_int_distribution<uint64_t>(0, below - 1)(random_);
  }

  template <typename Container>
  auto& any_of(Container& container) {
    auto it = container.begin();
    std::advance(it, pick(container.size()));
    return *it;
  }

  Bytes random_bytes(uint64_t count) {
    Bytes bytes(count);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random_());
    return bytes;
  }

  void open(const std::vector<Asked>& tables) {
    watcher_ = {};
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    set_->set_watcher(&watcher_);
    std::vector<Table> all{origin_table("o1", "dev-o1"),
                           origin_table("o2", "dev-o2")};
    for (const Asked& asked : tables) all.push_back(table_of(asked));
    set_->load(std::move(all));
  }

  static Table table_of(const Asked& asked) {
    Table table = snapshot_table(asked.name, asked.origin, asked.cow,
                                 asked.type, asked.chunk_sectors);
    table.activate = asked.activate;
    SnapshotTable& snapshot = snapshot_of(table);
    snapshot.length_sectors = asked.length / kSectorBytes;
    snapshot.read_only = asked.read_only;
    snapshot.cow.accept_stale = asked.accept_stale;
    return table;
  }

  void step() {
    const uint64_t kind = pick(100);
    if (kind < 26) {
      load();
    } else if (kind < 30) {
      name_step([&](auto& set, auto& name) { return set.clear(name); });
    } else if (kind < 42) {
      name_step([&](auto& set, auto& name) { return set.suspend(name); });
    } else if (kind < 52) {
      name_step([&](auto& set, auto& name) { return set.resume(name); });
    } else if (kind < 60) {
      remove();
    } else if (kind < 64) {
      open_or_close();
    } else if (kind < 66) {
      replace_origin();
    } else if (kind < 67) {
      reopen();
    } else if (kind < 68) {
      crash();
    } else if (kind < 70) {
      set_->flush_all();
    } else if (kind < 82) {
      write(set_->find(pick(2) == 0 ? "o1" : "o2"));
    } else if (auto device = set_->find(any_name()); device != nullptr) {
      write(device);
    }
  }

  std::string any_name() { return std::string(1, char('a' + pick(7))); }

  // Mostly what can be taken, sometimes with a mistake.
  Asked any_table() {
    static constexpr StoreType kTypes[] = {StoreType::persistent,
                                           StoreType::persistent_overflow};
    static constexpr uint64_t kChunks[] = {0, 1, 4, 16, 64};
    Asked asked;
    asked.name = pick(60) == 0 ? "o1" : any_name();
    const unsigned number = static_cast<unsigned>(pick(kCows));
    asked.cow = "cow" + std::to_string(number);
    // Devices that are live are named with their own COW, half of the time.
    auto device = model_.devices.find(asked.name);
    if (device != model_.devices.end() && device->second.live && pick(2) == 0) {
      asked.cow = device->second.live->cow;
    }
    const CowModel& cow = model_.cows.at(asked.cow);
    // A store belongs to its origin, but does not know it.
    const bool has_origin = !cow.owner.empty() || cow.has_header;
    asked.origin = has_origin ? cow.origin : pick(2) == 0 ? "o1" : "o2";
    // The last COWs are for transient stores.
    const bool is_transient = asked.cow >= "cow4";
    asked.type = is_transient ? StoreType::transient : kTypes[pick(2)];
    asked.chunk_sectors = kChunks[pick(5)];
    if (!cow.owner.empty()) {
      asked.chunk_sectors = pick(2) == 0 ? 0 : cow.chunk_bytes / kSectorBytes;
      if (pick(15) == 0) asked.chunk_sectors = 2;
      if (pick(15) == 0) {
        asked.type =
            is_transient ? StoreType::persistent : StoreType::transient;
      }
      if (pick(15) == 0) asked.origin = asked.origin == "o1" ? "o2" : "o1";
    } else if (cow.has_header && pick(15) == 0) {
      asked.type = StoreType::transient;
    }
    uint64_t sectors =
        model_.origins.at(asked.origin).content.size() / kSectorBytes;
    asked.length = (pick(3) == 0 ? 1 + pick(sectors) : sectors) * kSectorBytes;
    if (pick(30) == 0) asked.length = (sectors + 1) * kSectorBytes;
    asked.accept_stale = pick(2) == 0;
    asked.read_only = pick(8) == 0;
    asked.activate = static_cast<Activate>(pick(3));
    return asked;
  }

  void load() {
    std::vector<Asked> asked{any_table()};
    while (asked.size() < 4 && pick(3) == 0) asked.push_back(any_table());
    std::vector<Table> tables;
    for (const Asked& each : asked) tables.push_back(table_of(each));
    check([&] { set_->load(std::move(tables)); }, model_.load(asked));
  }

  template <typename Action>
  void name_step(const Action& action) {
    std::string name = any_name();
    if (pick(20) == 0) name = "o1";
    if (pick(20) == 0) name = "nobody";
    // Origins have no next table to be cleared.
    if (name == "o1" && pick(2) == 0) name = "o2";
    Outcome wanted = action(model_, name);
    check([&] { action(*set_, name); }, wanted);
  }

  void remove() {
    const std::string name = any_name();
    std::shared_ptr<Device> device = set_->find(name);
    const Outcome wanted = model_.remove(name);
    check([&] { set_->remove(name); }, wanted);
    if (wanted.error == 0) gone_.push_back(device);
  }

  // Does what the set does end as the model says?
  template <typename Action>
  void check(const Action& action, const Outcome& wanted) {
    Outcome found;
    try {
      action();
    } catch (const TableError& error) {
      found = {error.error(), error.what()};
    } catch (const std::exception& error) {
      found = {errno_of(error), error.what()};
    }
    ASSERT_EQ(found.error, wanted.error) << found.text << " / " << wanted.text;
    ASSERT_NE(found.text.find(wanted.text), std::string::npos)
        << found.text << " / " << wanted.text;
  }

  void open_or_close() {
    const std::string name = any_name();
    std::shared_ptr<Device> device = set_->find(name);
    if (device == nullptr) return;
    DeviceModel& model = model_.devices.at(name);
    if (model.opens != 0 && pick(3) != 0) {
      device->closed();
      --model.opens;
      return;
    }
    ASSERT_EQ(device->try_open(), model.live.has_value()) << name;
    model.opens += model.live.has_value();
  }

  void replace_origin() {
    const std::string name = pick(2) == 0 ? "o1" : "o2";
    const uint64_t sectors =
        1 + pick(model_.origins.at(name).content.size() / kSectorBytes);
    Table table = origin_table(name, "dev-" + name);
    std::get<OriginTable>(table.target).length_sectors = sectors;
    check([&] { set_->load({table}); },
          model_.replace_origin(name, sectors * kSectorBytes));
  }

  void reopen() {
    close();
    open(model_.reopen());
  }

  // The disks keep nothing that came after the last flush.
  void crash() {
    set_->flush_all();
    const HandoverModel flushed = model_;
    std::vector<Bytes> contents;
    for (const auto& disk : disks_) contents.push_back(disk->content());
    for (uint64_t i = pick(8); i != 0; --i) {
      std::shared_ptr<Device> device = set_->find(any_name());
      write(device != nullptr ? device : set_->find("o1"));
    }
    close();
    for (std::size_t i = 0; i < disks_.size(); ++i)
      disks_[i]->write(0, contents[i]);
    model_ = flushed;
    open(model_.reopen());
  }

  void close() {
    set_.reset();
    // What has parked is woken, and nothing is there any more.
    finish_parked();
    gone_.clear();
  }

  // --- requests --------------------------------------------------------------

  void write(const std::shared_ptr<Device>& device) {
    std::shared_ptr<Target> target = device->live();
    if (target == nullptr || target->read_only()) return;
    auto request = std::make_unique<ParkedWrite>();
    request->device = device;
    const uint64_t sectors = target->size() / kSectorBytes;
    const uint64_t first = pick(sectors);
    request->offset = first * kSectorBytes;
    request->data =
        random_bytes(std::min(1 + pick(50), sectors - first) * kSectorBytes);
    if (!carry_out(*request)) parked_.push_back(std::move(request));
  }

  // False: it is parked.
  bool carry_out(ParkedWrite& request) {
    auto pass = request.device->admission().enter(request);
    const bool is_suspended = request.device->state() == DeviceState::suspended;
    EXPECT_EQ(pass.has_value(), !is_suspended);
    if (!pass) return false;
    std::shared_ptr<Target> target = request.device->live();
    if (target == nullptr) {
      EXPECT_EQ(request.device->state(), DeviceState::removed);
    } else if (!target->read_only() &&
               request.offset + request.data.size() <= target->size()) {
      put(request.device->name(), *target, request.offset, request.data);
    }
    return true;
  }

  void put(const std::string& name, Target& target, uint64_t offset,
           Bytes data) {
    if (model_.origins.contains(name)) {
      target.write(offset, data);
      model_.write_origin(name, offset, data);
      return;
    }
    data.resize(model_.in_one_chunk(name, {offset, data.size()}).length);
    int error = 0;
    try {
      target.write(offset, data);
    } catch (const std::system_error& failure) {
      error = errno_of(failure);
    }
    ASSERT_EQ(error, model_.write(name, offset, data)) << name;
  }

  // Each request that parked is woken once, when its device goes on.
  void finish_parked() {
    for (std::size_t i = 0; i < parked_.size();) {
      ParkedWrite& request = *parked_[i];
      const bool is_suspended =
          request.device->state() == DeviceState::suspended;
      ASSERT_EQ(request.woken, is_suspended ? 0u : 1u)
          << request.device->name();
      if (is_suspended) {
        ++i;
        continue;
      }
      EXPECT_TRUE(carry_out(request));
      parked_.erase(parked_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  // --- comparison ------------------------------------------------------------

  void compare(std::set<std::string>& states) {
    ASSERT_EQ(set_->devices().size(),
              model_.devices.size() + model_.origins.size());
    for (const auto& [name, origin] : model_.origins) {
      const std::string state = set_->find(name)->state_text();
      ASSERT_EQ(state, origin.suspended ? "suspended\n" : "live\n") << name;
      ASSERT_EQ(set_->find(name)->live()->size(), origin.length) << name;
    }
    for (const auto& [name, device] : model_.devices) {
      compare_device(name, device);
      if (testing::Test::HasFatalFailure()) return;
      states.insert(without_names(model_.state_text(name), device));
    }
    for (const auto& device : gone_) {
      ASSERT_EQ(device->state_text(), "removed\n") << device->name();
      states.insert("removed\n");
    }
    ASSERT_EQ(watcher_.freezes, model_.freezes);
    ASSERT_EQ(watcher_.frozen, model_.freezes);
    ASSERT_EQ(watcher_.changes, model_.changes);
  }

  void compare_device(const std::string& name, const DeviceModel& model) {
    std::shared_ptr<Device> device = set_->find(name);
    ASSERT_NE(device, nullptr) << name;
    ASSERT_EQ(device->state_text(), model_.state_text(name)) << name;
    ASSERT_EQ(device->open_count(), model.opens) << name;
    ASSERT_EQ(device->next_table() != nullptr, model.next.has_value()) << name;
    std::shared_ptr<Target> target = device->live();
    ASSERT_EQ(target != nullptr, model.live.has_value()) << name;
    if (target == nullptr) return;
    ASSERT_EQ(target->size(), model.live->length) << name;
    ASSERT_EQ(target->read_only(), model.live->read_only) << name;
    ASSERT_EQ(target->status_line(), model_.status_line(name)) << name;
    ASSERT_EQ(target->table_line(), model_.table_line(name)) << name;
  }

  static std::string without_names(std::string state,
                                   const DeviceModel& device) {
    auto replace = [&](const std::string& name, const std::string& by) {
      const std::size_t at = state.rfind(" " + name + "\n");
      if (!name.empty() && at != std::string::npos) {
        state.replace(at + 1, name.size(), by);
      }
    };
    replace(device.source, "S");
    replace(device.handed_to, "D");
    return state;
  }

  void compare_content() {
    for (const auto& [name, origin] : model_.origins) {
      Bytes data(origin.length);
      set_->find(name)->live()->read(0, data);
      ASSERT_TRUE(std::equal(data.begin(), data.end(), origin.content.begin()))
          << name;
    }
    for (const auto& [name, device] : model_.devices) {
      if (!device.live) continue;
      std::optional<Bytes> wanted = model_.content(name);
      Bytes data(device.live->length);
      std::shared_ptr<Target> target = set_->find(name)->live();
      if (!wanted) {
        ASSERT_THROW(target->read(0, data), std::system_error) << name;
        continue;
      }
      target->read(0, data);
      ASSERT_TRUE(data == *wanted) << name;
    }
  }

  std::mt19937_64 random_;
  unsigned step_ = 0;
  HandoverModel model_;
  MemoryOpener opener_;
  std::vector<std::shared_ptr<MemoryDevice>> disks_;
  EventRecorder events_;
  WatcherCounts watcher_;
  std::unique_ptr<DeviceSet> set_;
  std::vector<std::unique_ptr<ParkedWrite>> parked_;
  std::vector<std::shared_ptr<Device>> gone_;
};

TEST(HandoverModelTest, random_handovers_match_the_reference) {
  std::set<std::string> states;

  for (unsigned i = 0; i < (is_replay() ? 1 : kWorlds); ++i) {
    const uint64_t seed = next_seed();
    SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
    World(seed).run(states);
    if (HasFailure()) {
      std::cerr << "replay with SNAPFS_SEED=" << seed << std::endl;
      return;
    }
  }

  // Every state that has a name was there, and no other.
  if (!is_replay()) {
    EXPECT_EQ(states, kStates);
  }
}

}  // namespace
}  // namespace snapfs::test

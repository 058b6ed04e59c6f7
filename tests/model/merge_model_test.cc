// SPDX-License-Identifier: MIT
//
// Random worlds in which snapshots are merged, and origins reverted to them,
// while everybody reads and writes, and in which the power fails: at any
// operation on any device, with any of what was not durable lost. The reference
// knows views and sectors alone: what each may hold. SNAPFS_SEED replays one
// seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/disk_format.h"
#include "core/merging_snapshot.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/recording_device.h"
#include "tests/support/seed.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr unsigned kWorlds = 25;
constexpr unsigned kSteps = 300;
// Not a multiple of any chunk size but the smallest.
constexpr uint64_t kSectors = 901;

// What a view shows: for each sector the generations that it may have after a
// power cut, the last of which it has now.
class View {
 public:
  explicit View(uint64_t generation) : sectors_(kSectors, {generation}) {}

  void write(uint64_t first, uint64_t count, uint64_t generation) {
    for (uint64_t i = first; i < first + count; ++i) {
      sectors_[i].push_back(generation);
    }
  }
  void flush() {
    for (auto& sector : sectors_) sector = {sector.back()};
  }
  // Becomes what the other one is, or, after a power cut, stays.
  void become(const View& other) {
    for (uint64_t i = 0; i < kSectors; ++i) sectors_[i].push_back(other.now(i));
  }
  uint64_t now(uint64_t sector) const { return sectors_[sector].back(); }
  bool may_be(uint64_t sector, uint64_t generation) const {
    const auto& known = sectors_[sector];
    return std::find(known.begin(), known.end(), generation) != known.end();
  }
  void settle(uint64_t sector, uint64_t generation) {
    sectors_[sector] = {generation};
  }

 private:
  std::vector<std::vector<uint64_t>> sectors_;
};

// How a store without gaps shows `records` exceptions; the kernel's rule.
std::string usage_of(uint64_t records, uint64_t chunk, uint64_t total) {
  const StoreLayout layout{ChunkSize(chunk)};
  const uint64_t area = records / layout.records_per_area();
  const uint64_t next_free =
      layout.area_chunk(area) + records % layout.records_per_area() + 1;
  return std::to_string(next_free * chunk) + "/" + std::to_string(total) + " " +
         std::to_string((area + 2) * chunk);
}

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {
    add_device("origin", kSectors);
    stamp_device(*memory_.at("origin"), {0, kSectors * kSectorBytes}, 1);
    images_["origin"] = memory_.at("origin")->content();
    open();
  }

  void run() {
    for (unsigned i = 0; i < kSteps && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      step();
    }
    check_all();
    while (is_merging() || is_reverting()) copy_step();
    check_all();
  }

  unsigned merges() const { return merges_; }
  unsigned cuts_during_merge() const { return cuts_during_merge_; }
  unsigned reverts() const { return reverts_; }
  unsigned cuts_during_revert() const { return cuts_during_revert_; }
  unsigned cuts_at_the_beginning() const { return cuts_at_the_beginning_; }

 private:
  struct Snap {
    std::string cow;
    uint64_t chunk = 0;
    View view;
    bool was_reverted_to = false;  // its store may have gaps
  };

  uint64_t pick(uint64_t below) {
    return std::uniform_int_distribution<uint64_t>(0, below - 1)(random_);
  }

  void add_device(const std::string& name, uint64_t sectors) {
    memory_[name] =
        std::make_shared<MemoryDevice>(sectors * kSectorBytes, name);
    opener_.add(name,
                std::make_shared<RecordingDevice>(memory_[name], recording_));
    images_[name] = memory_[name]->content();
  }

  Table table_of(const std::string& name) {
    const Snap& snap = snaps_.at(name);
    Table table = snapshot_table(name, "base", snap.cow, StoreType::persistent,
                                 snap.chunk);
    snapshot_of(table).commit_interval = std::chrono::hours(1);
    return table;
  }

  void open() {
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    std::vector<Table> tables;
    if (merging_cow_.empty()) {
      tables.push_back(origin_table("base", "origin"));
    } else {
      tables.push_back(merge_table("base", "origin", merging_cow_));
    }
    for (const auto& [name, snap] : snaps_) tables.push_back(table_of(name));
    set_->load(tables);
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_->find(name)->live();
  }
  std::shared_ptr<MergingSnapshot> merging() {
    return std::dynamic_pointer_cast<MergingSnapshot>(target("base"));
  }
  bool is_merging() { return merging() != nullptr; }
  bool is_reverting() {
    return target("base")->details().find("revert_to: ") != std::string::npos;
  }

  void step() {
    const uint64_t kind = pick(100);
    if (kind < 5) {
      take_snapshot();
    } else if (kind < 8) {
      begin_merge();
    } else if (kind < 10) {
      begin_revert(false);
    } else if (kind < 12) {
      end_and_open();
    } else if (kind < 16) {
      const size_t before = recording_->ops().size();
      if (pick(4) == 0) {
        begin_revert(true);
      } else {
        work(pick(70), true);
      }
      cut_power(before);
    } else {
      work(pick(84), false);
    }
  }

  // What may be cut short: then no flush promises anything.
  void work(uint64_t kind, bool will_be_cut) {
    if (kind < 25) {
      if (is_merging() || is_reverting()) copy_step();
    } else if (kind < 50) {
      write("base", base_);
    } else if (kind < 65) {
      if (!snaps_.empty()) {
        auto& [name, snap] = any_snap();
        write(name, snap.view);
      }
    } else if (kind < 70) {
      flush(will_be_cut);
    } else {
      check_some();
    }
  }

  std::pair<const std::string, Snap>& any_snap() {
    auto it = snaps_.begin();
    std::advance(it, pick(snaps_.size()));
    return *it;
  }

  void take_snapshot() {
    if (snaps_.size() == 3 || is_merging() || is_reverting()) return;
    static constexpr uint64_t kChunks[] = {1, 2, 8, 64};
    const uint64_t number = next_name_++;
    const std::string name = "s" + std::to_string(number);
    // The origin is flushed before a snapshot of it is taken.
    base_.flush();
    Snap snap{"cow" + std::to_string(number), kChunks[pick(4)], base_};
    add_device(snap.cow, 3 * kSectors + 64 * snap.chunk);
    snaps_.emplace(name, std::move(snap));
    set_->load({table_of(name)});
  }

  void begin_merge() {
    if (snaps_.empty() || is_merging() || is_reverting()) return;
    const std::string name = any_snap().first;
    Snap snap = snaps_.at(name);
    Table table = merge_table("base", "origin", snap.cow);
    table.activate = Activate::now;
    set_->load({table});
    set_->remove(name);
    snaps_.erase(name);
    snap.view.flush();
    base_ = snap.view;
    merging_cow_ = snap.cow;
    merging_chunk_ = snap.chunk;
    merging_has_gaps_ = snap.was_reverted_to;
    ++merges_;
  }

  void begin_revert(bool will_be_cut) {
    if (snaps_.empty() || is_merging() || is_reverting()) return;
    auto& [name, snap] = any_snap();
    set_->revert(name, {});
    // Whoever keeps the tables has made it a plain origin.
    merging_cow_.clear();
    if (will_be_cut) {
      base_.become(snap.view);
      ++cuts_at_the_beginning_;
    } else {
      snap.view.flush();
      base_ = snap.view;
    }
    snap.was_reverted_to = true;
    ++reverts_;
  }

  void copy_step() {
    set_->merge_step("base", {(1 + pick(40)) * kSectorBytes, 1 + pick(5)});
  }

  void write(const std::string& name, View& view) {
    const uint64_t first = pick(kSectors);
    const uint64_t count =
        std::min(1 + pick(pick(4) == 0 ? 200 : 12), kSectors - first);
    const uint64_t generation = ++generation_;
    target(name)->write(first * kSectorBytes,
                        stamped(first, count, generation));
    view.write(first, count, generation);
  }

  void flush(bool will_be_cut) {
    const bool of_base = snaps_.empty() || pick(2) == 0;
    auto* snap = of_base ? nullptr : &any_snap();
    target(of_base ? "base" : snap->first)->flush();
    if (will_be_cut) return;
    (of_base ? base_ : snap->second.view).flush();
  }

  void check_some() {
    check("base", base_);
    if (snaps_.empty()) return;
    auto& [name, snap] = any_snap();
    check(name, snap.view);
  }

  void check_all() {
    check("base", base_);
    for (auto& [name, snap] : snaps_) check(name, snap.view);
  }

  void check(const std::string& name, const View& view) {
    std::vector<std::byte> data(kSectors * kSectorBytes);
    target(name)->read(0, data);
    for (uint64_t sector = 0; sector < kSectors; ++sector) {
      auto bytes = std::span(data).subspan(sector * kSectorBytes, kSectorBytes);
      ASSERT_EQ(stamp_difference(bytes, sector, view.now(sector)), "") << name;
    }
    if (name == "base") check_status();
  }

  void check_status() {
    if (!is_merging() || merging_has_gaps_) return;
    const uint64_t left = merging()->merger().exceptions().exception_count();
    ASSERT_EQ(target("base")->status_line(),
              "0 " + std::to_string(kSectors) + " snapshot-merge " +
                  usage_of(left, merging_chunk_,
                           memory_.at(merging_cow_)->size() / kSectorBytes));
  }

  // The way a mount ends.
  void end_and_open() {
    set_.reset();
    base_.flush();
    for (auto& [name, snap] : snaps_) snap.view.flush();
    checkpoint();
    open();
  }

  void checkpoint() {
    for (const auto& [name, device] : memory_)
      images_[name] = device->content();
    recording_->clear();
  }

  // The power fails at one of the operations from number `begin` on; later ones
  // never arrived.
  void cut_power(size_t begin) {
    std::vector<RecordedOp> ops = recording_->ops();
    const bool is_cut_short = begin != ops.size();
    if (is_cut_short) {
      ops.resize(begin + 1 + pick(ops.size() - begin));
      if (is_merging()) ++cuts_during_merge_;
      if (is_reverting()) ++cuts_during_revert_;
    }
    set_.reset();
    const uint64_t odds = 1 + pick(3);
    auto survives = [&](size_t, uint64_t) { return pick(odds + 1) != 0; };
    for (const auto& [name, device] : memory_) {
      std::vector<RecordedOp> own;
      for (const RecordedOp& op : ops) {
        if (op.device == name) own.push_back(op);
      }
      // What is not the last operation of all was answered.
      if (!is_cut_short || ops.back().device != name) {
        own.push_back({kWrite, name, 0, 0, {}});
      }
      device->write(
          0, after_power_cut(images_.at(name), own, own.size(), survives));
    }
    checkpoint();
    open();
    settle("base", base_);
    for (auto& [name, snap] : snaps_) settle(name, snap.view);
  }

  void settle(const std::string& name, View& view) {
    std::vector<std::byte> data(kSectors * kSectorBytes);
    target(name)->read(0, data);
    for (uint64_t sector = 0; sector < kSectors; ++sector) {
      auto bytes = std::span(data).subspan(sector * kSectorBytes, kSectorBytes);
      const uint64_t found = load_little_endian(bytes) >> kGenerationShift;
      ASSERT_EQ(stamp_difference(bytes, sector, found), "") << name;
      ASSERT_TRUE(view.may_be(sector, found))
          << name << ": sector " << sector << " has generation " << found
          << " after a power cut, and had " << view.now(sector);
      view.settle(sector, found);
    }
    check_status();
  }

  std::mt19937_64 random_;
  uint64_t generation_ = 1;
  uint64_t next_name_ = 0;
  unsigned merges_ = 0;
  unsigned cuts_during_merge_ = 0;
  unsigned reverts_ = 0;
  unsigned cuts_during_revert_ = 0;
  unsigned cuts_at_the_beginning_ = 0;

  View base_{1};
  std::map<std::string, Snap> snaps_;
  std::string merging_cow_;  // of the last merge; it may have finished
  uint64_t merging_chunk_ = 0;
  bool merging_has_gaps_ = false;

  std::shared_ptr<Recording> recording_ = std::make_shared<Recording>();
  std::map<std::string, std::shared_ptr<MemoryDevice>> memory_;
  // What was on the devices when the recording began.
  std::map<std::string, std::vector<std::byte>> images_;
  MemoryOpener opener_;
  EventRecorder events_;
  std::unique_ptr<DeviceSet> set_;
};

TEST(MergeModelTest,
     random_merges_and_reverts_with_power_cuts_match_the_reference) {
  unsigned merges = 0;
  unsigned cuts = 0;
  unsigned reverts = 0;
  unsigned cuts_of_reverts = 0;
  unsigned cuts_of_beginnings = 0;

  for (unsigned i = 0; i < (is_replay() ? 1 : kWorlds); ++i) {
    const uint64_t seed = next_seed();
    SCOPED_TRACE("SNAPFS_SEED=" + std::to_string(seed));
    World world(seed);
    world.run();
    if (HasFailure()) {
      std::cerr << "replay with SNAPFS_SEED=" << seed << std::endl;
      return;
    }
    merges += world.merges();
    cuts += world.cuts_during_merge();
    reverts += world.reverts();
    cuts_of_reverts += world.cuts_during_revert();
    cuts_of_beginnings += world.cuts_at_the_beginning();
  }

  // The worlds were of the kind that they are meant to be.
  if (!is_replay()) {
    EXPECT_GT(merges, kWorlds);
    EXPECT_GT(cuts, kWorlds);
    EXPECT_GT(reverts, kWorlds);
    EXPECT_GT(cuts_of_reverts, kWorlds);
    EXPECT_GT(cuts_of_beginnings, kWorlds / 4);
  }
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Worlds that chance makes.
#include <algorithm>

#include "core/chunk.h"
#include "tests/powercut/workloads.h"

namespace snapfs::test {
namespace {

constexpr uint32_t kCows = 3;

class RandomUser {
 public:
  RandomUser(World& world, uint64_t seed)
      : world_(world), random_(seed), sectors_(world.spec().origin_sectors) {}

  void run() {
    world_.open();
    const uint64_t steps = 12 + pick(random_, 20);
    for (uint64_t i = 0; i < steps; ++i) step();
  }

 private:
  void step() {
    const uint64_t kind = pick(random_, 100);
    if (kind < 12) {
      take();
    } else if (kind < 16) {
      pick(random_, 3) == 0 ? begin_revert() : begin_merge();
    } else if (kind < 20) {
      hand_over();
    } else if (kind < 24) {
      world_.close();
      world_.open();
    } else if (kind < 34) {
      if (world_.is_merging()) {
        merge_step();
      } else if (world_.is_reverting()) {
        revert_step();
      }
    } else if (kind < 46) {
      flush();
    } else if (kind < 54) {
      meet();
    } else {
      write();
    }
  }

  // Of a snapshot that can be used; empty: there is none.
  std::string any_snap() {
    std::vector<std::string> names;
    for (const auto& [name, snap] : world_.expected().snaps) {
      if (!snap.must_be_invalid) names.push_back(name);
    }
    return names.empty() ? "" : names[pick(random_, names.size())];
  }

  std::string any_view() {
    const std::string snap = any_snap();
    return snap.empty() || pick(random_, 2) == 0 ? "base" : snap;
  }

  void take() {
    if (next_cow_ > kCows || world_.is_merging() || world_.is_reverting()) {
      return;
    }
    SnapSpec spec;
    spec.cow = next_cow_++;
    spec.chunk_sectors = uint64_t{1} << pick(random_, 4);
    if (pick(random_, 3) == 0) spec.type = StoreType::persistent_overflow;
    spec.discards = pick(random_, 2) == 0;
    spec.passes_discards_down = spec.discards && pick(random_, 2) == 0;
    if (world_.spec().cows[spec.cow - 1].may_grow_to != 0) {
      spec.when_full.grow =
          WhenFull::Grow{8 * kSectorBytes, 400 * kSectorBytes};
    }
    spec.when_full.refuse_origin = pick(random_, 4) == 0;
    world_.take("s" + std::to_string(spec.cow), spec);
  }

  void begin_merge() {
    const std::string name = any_snap();
    if (name.empty() || world_.is_merging() || world_.is_reverting()) return;
    world_.merge(name);
  }

  void begin_revert() {
    const std::string name = any_snap();
    if (name.empty() || world_.is_merging() || world_.is_reverting()) return;
    if (world_.has_room(0, sectors_ + 1)) world_.revert(name);
  }

  // Other snapshots need room for what these two overwrite.
  void merge_step() {
    if (!world_.has_room(0, sectors_)) each_may_become_invalid();
    try {
      world_.merge_step(
          {(1 + pick(random_, 12)) * kSectorBytes, 1 + pick(random_, 4)});
    } catch (const std::system_error&) {
      world_.finish_failed();
    }
  }

  void revert_step() {
    if (!world_.has_room(0, sectors_)) return;
    world_.revert_step(
        {(1 + pick(random_, 12)) * kSectorBytes, 1 + pick(random_, 4)});
  }

  void hand_over() {
    const std::string name = any_snap();
    if (name.empty() || world_.is_reverting()) return;
    const std::string to = pick(random_, 2) == 0 ? name : name + "x";
    world_.hand_over(
        name, to,
        pick(random_, 2) == 0 ? World::Saved::early : World::Saved::late);
  }

  void flush() { world_.flush(any_view()); }

  void write() {
    const uint64_t first = pick(random_, sectors_);
    const uint64_t longest =
        std::min(sectors_ - first, uint64_t{1} << pick(random_, 7));
    const uint64_t count = 1 + pick(random_, longest);
    const std::string name = any_view();
    // A write during a revert has what follows copied back with it.
    if (!has_room_for_base() || !world_.has_room(first, count) ||
        (world_.is_reverting() && !world_.has_room(0, sectors_))) {
      each_may_become_invalid();
    }
    const uint64_t kind = pick(random_, 8);
    try {
      if (kind == 0) {
        world_.zero(name, first, count);
      } else if (kind == 1 && name != "base" && discards(name)) {
        world_.discard(name, first, count);
      } else {
        world_.write(name, first, count);
      }
    } catch (const std::system_error&) {
      // There was no room.
      world_.finish_failed();
    }
  }

  void each_may_become_invalid() {
    for (const auto& [name, snap] : Expected(world_.expected()).snaps) {
      if (!snap.may_be_invalid) world_.expect_full(name);
    }
  }

  // Two requests at once, to sectors that differ.
  void meet() {
    if (!world_.has_room(0, sectors_)) return;
    const uint64_t half = sectors_ / 2;
    const uint64_t first = pick(random_, half);
    const uint64_t first_count = 1 + pick(random_, half - first);
    const uint64_t second = half + pick(random_, half);
    const uint64_t second_count = 1 + pick(random_, 2 * half - second);
    const std::string one = any_view();
    const std::string other = any_view();
    const bool merges = world_.is_merging() && pick(random_, 2) == 0;
    const bool flushes = pick(random_, 2) == 0;
    const uint64_t at = pick(random_, 10);
    world_.interleave(
        at, Interleaving::Second::runs,
        [&] {
          if (merges) {
            world_.merge_step({8 * kSectorBytes, 2});
          } else {
            world_.write(one, first, first_count);
          }
        },
        [&] {
          world_.write(other, second, second_count);
          if (flushes) world_.flush(other);
        });
  }

  bool has_room_for_base() { return world_.has_room(0, 1); }

  bool discards(const std::string& name) {
    const auto& table =
        std::get<SnapshotTable>(world_.expected().snaps.at(name).table.target);
    // What is passed down goes to the origin device, past the view that a merge
    // shows of it.
    return table.discard_zeroes_cow &&
           !(table.discard_passdown_origin && world_.is_merging());
  }

  World& world_;
  Random random_;
  const uint64_t sectors_;
  uint32_t next_cow_ = 1;
};

}  // namespace

Workload random_workload(uint64_t seed) {
  Random random(seed);
  Workload workload;
  workload.name = "random";
  workload.spec.origin_sectors = 16 + pick(random, 120);
  for (uint32_t i = 0; i < kCows; ++i) {
    WorldSpec::Cow cow;
    const uint64_t kind = pick(random, 4);
    cow.sectors = kind == 0 ? 24 + pick(random, 40)
                            : 2 * workload.spec.origin_sectors + 100;
    if (kind == 1) {
      cow.sectors = 32;
      cow.may_grow_to = 500;
    }
    workload.spec.cows.push_back(cow);
  }
  workload.spec.first_generation = 1 + pick(random, 60000);
  workload.options.seed = random();
  workload.options.exhaustive = 32;
  workload.options.samples = 8;
  workload.options.second_life_in = 8;
  const uint64_t script = random();
  workload.script =
      once([script](World& world) { RandomUser(world, script).run(); });
  return workload;
}

}  // namespace snapfs::test

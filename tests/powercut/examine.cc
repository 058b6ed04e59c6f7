// SPDX-License-Identifier: MIT
#include "tests/powercut/examine.h"

#include <algorithm>
#include <exception>
#include <map>
#include <utility>

#include "core/chunk.h"
#include "tests/powercut/store_image.h"
#include "tests/support/pattern.h"

namespace snapfs::test {
namespace {

class Examination {
 public:
  Examination(const WorldSpec& spec, Disks disks, const Expected& expected,
              uint64_t seed, Tally& tally)
      : spec_(spec),
        disks_(std::move(disks)),
        found_(expected),
        random_(seed),
        tally_(tally) {}

  std::string run(SecondLife second) {
    try {
      read_by_format();
      load(second);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }

 private:
  // ---- Without the core

  void read_by_format() {
    if (found_.revert.state != Expected::Revert::State::none) {
      read_reverting();
    } else if (found_.merging == 0) {
      settle("base", found_.base);
    } else {
      const StoreImage store =
          read_store(disks_[found_.merging], origin_size());
      if (store.kind != StoreImage::Kind::valid) {
        throw Broken("the store that is merged: " + in_words(store));
      }
      settle("base", found_.base, &store, &store.exceptions, found_.merging);
      statuses_["base"] = store.status(disks_[found_.merging].size());
    }
    for (auto& [name, snap] : found_.snaps) read_by_format(name, snap);
  }

  // With the note, what has not been copied back lies on the COW; without it,
  // nothing has been done or everything.
  void read_reverting() {
    using State = Expected::Revert::State;
    Expected::Snap& snap = found_.snaps.at(found_.revert.to);
    const StoreImage store = read_store(disks_[snap.device], origin_size());
    if (store.has_note && found_.revert.state == State::begins) {
      read_by_format(found_.revert.to, snap);
      found_.base = snap.view;
    }
    settle("base", found_.base, &store, &store.undone, snap.device);
    if (store.has_note) {
      found_.revert.state = State::under_way;
    } else {
      found_.revert = {};
    }
  }

  void read_by_format(const std::string& name, Expected::Snap& snap) {
    const StoreImage store = read_store(disks_[snap.device], origin_size());
    if (store.kind == StoreImage::Kind::broken ||
        (store.kind == StoreImage::Kind::none && !snap.is_new)) {
      throw Broken(name + ": " + in_words(store));
    }
    if (snap.is_new) {
      // It is as its origin is now.
      snap.view = found_.base;
    }
    const bool is_invalid = store.kind == StoreImage::Kind::invalid;
    if (is_invalid && !snap.may_be_invalid) throw Broken(name + " is invalid");
    if (!is_invalid && snap.must_be_invalid) {
      throw Broken(name + " was invalid, and is not any more");
    }
    snap.may_be_invalid = snap.must_be_invalid = is_invalid;
    if (is_invalid) return;
    if (store.has_note && found_.revert.to != name) {
      throw Broken(name + " has the note of a revert that is over");
    }
    settle(name, snap.view, &store, &store.exceptions, snap.device);
    has_stale_records_ = has_stale_records_ || store.has_stale_records;
    if (store.kind == StoreImage::Kind::valid) {
      statuses_[name] = store.status(disks_[snap.device].size());
    }
  }

  static std::string in_words(const StoreImage& store) {
    switch (store.kind) {
      case StoreImage::Kind::none:
        return "no store is there";
      case StoreImage::Kind::invalid:
        return "invalid";
      case StoreImage::Kind::valid:
        return "valid";
      case StoreImage::Kind::broken:
        break;
    }
    return "what the COW holds is no store: " + store.fault;
  }

  uint64_t origin_size() const { return disks_[0].size(); }

  // What the view shows is what it is from now on.
  void settle(const std::string& name, View& view,
              const StoreImage* store = nullptr,
              const std::map<uint64_t, uint64_t>* on_cow = nullptr,
              uint32_t device = 0) {
    for (uint64_t sector = 0; sector < view.size(); ++sector) {
      const std::byte* data = &disks_[0][sector * kSectorBytes];
      if (store != nullptr && store->chunk_sectors != 0) {
        const uint64_t chunk = store->chunk_sectors;
        auto exception = on_cow->find(sector / chunk);
        if (exception != on_cow->end()) {
          data = &disks_[device][(exception->second * chunk + sector % chunk) *
                                 kSectorBytes];
        }
      }
      const auto generation = generation_in(data, sector);
      if (!generation || !view.may_be(sector, *generation)) {
        throw Broken(name + ": sector " + std::to_string(sector) + " is " +
                     describe_sector({data, kSectorBytes}) + ", not " +
                     view.in_words(sector));
      }
      view.found(sector, *generation);
    }
  }

  // ---- With the core

  void load(SecondLife second) {
    World world(spec_, disks_, found_);
    try {
      world.open();
    } catch (const std::exception& error) {
      throw Broken(std::string("does not load: ") + error.what());
    }
    world.check();
    is_roomy_ = world.has_room(0, spec_.origin_sectors);
    for (const auto& [name, snap] : found_.snaps) {
      if (!is_roomy_ && !snap.must_be_invalid) world.expect_full(name);
    }
    for (const auto& [name, status] : statuses_) {
      const std::string line = world.status_of(name);
      if (line.ends_with(" " + status)) continue;
      throw Broken(name + ": the status is " + line + ", not " + status);
    }
    // Few are like that, and it is later that it may do harm.
    if (second == SecondLife::where_it_is_rare && has_stale_records_) {
      second = SecondLife::always;
    }
    if (second != SecondLife::always) {
      merge_in_steps(world);
      revert_in_steps(world);
      return;
    }
    ++tally_.second_lives;
    if (has_stale_records_) write_much(world);
    for (uint64_t left = 2 + pick(random_, 5); left != 0; --left) go_on(world);
    merge_in_steps(world);
    revert_in_steps(world);
    world.close();
    cut_again(world);
  }

  BackgroundCopy::StepLimit some_step(int left) {
    BackgroundCopy::StepLimit limit;
    if (left > 0) {
      limit.bytes = (1 + pick(random_, 12)) * kSectorBytes;
      limit.runs = 1 + pick(random_, 4);
    }
    return limit;
  }

  void merge_in_steps(World& world) {
    for (int left = 6; world.is_merging(); --left) {
      try {
        world.merge_step(some_step(left));
      } catch (const std::system_error&) {
        // Another snapshot has no room for what the merge overwrites, and its
        // table says that this must not be.
        if (is_roomy_) throw;
        return;
      }
    }
    if (found_.merging == 0) return;
    const StoreImage store =
        read_store(world.disks()[found_.merging], origin_size());
    if (store.kind != StoreImage::Kind::valid || store.records != 0) {
      throw Broken("the merge has left records");
    }
  }

  void revert_in_steps(World& world) {
    const std::string name = world.expected().revert.to;
    if (name.empty()) return;
    for (int left = 6; world.is_reverting(); --left) {
      try {
        world.revert_step(some_step(left));
      } catch (const std::system_error&) {
        if (is_roomy_) throw;  // as above
        return;
      }
    }
    // check() has read the origin alone since the last step.
    const StoreImage store =
        read_store(world.disks()[found_.snaps.at(name).device], origin_size());
    if (store.kind != StoreImage::Kind::valid || store.has_note) {
      throw Broken("the revert has left its note");
    }
  }

  // Fills the gap in front of the stale records.
  void write_much(World& world) {
    const uint64_t first = pick(random_, spec_.origin_sectors / 2);
    const uint64_t count = spec_.origin_sectors - first;
    if (world.has_room(first, count)) world.write("base", first, count);
  }

  // Something that a user might do next.
  void go_on(World& world) {
    const uint64_t sectors = spec_.origin_sectors;
    const uint64_t first = pick(random_, sectors);
    const uint64_t longest = sectors - first;
    const uint64_t count =
        1 + pick(random_, std::min(longest, uint64_t{1} << pick(random_, 7)));
    std::string name = "base";
    if (!found_.snaps.empty() && pick(random_, 2) == 0) {
      auto it = found_.snaps.begin();
      std::advance(it, pick(random_, found_.snaps.size()));
      if (!it->second.must_be_invalid) name = it->first;
    }
    switch (pick(random_, 6)) {
      case 0:
        world.flush(name);
        return;
      case 1:
        if (world.is_merging() && is_roomy_) {
          world.merge_step({8 * kSectorBytes, 2});
        } else if (world.is_reverting()) {
          world.revert_step({2 * kSectorBytes, 2});
        }
        return;
      default:
        if (world.has_room(first, count)) world.write(name, first, count);
        return;
    }
  }

  void cut_again(const World& world) {
    SweepOptions options;
    options.seed = random_();
    options.exhaustive = 1;
    options.samples = has_stale_records_ ? 12 : 2;
    options.second_life_in = 0;
    options.places_in = has_stale_records_ ? 1 : 6;
    if (sweep(world, options, tally_)) return;
    throw Broken("in the second life: " + std::exchange(tally_.failure, ""));
  }

  const WorldSpec& spec_;
  const Disks disks_;
  Expected found_;
  std::map<std::string, std::string> statuses_;
  bool has_stale_records_ = false;
  // Every snapshot has room for all of the origin.
  bool is_roomy_ = true;
  Random random_;
  Tally& tally_;
};

}  // namespace

std::string examine(const WorldSpec& spec, Disks disks,
                    const Expected& expected, SecondLife second, uint64_t seed,
                    Tally& tally) {
  return Examination(spec, std::move(disks), expected, seed, tally).run(second);
}

}  // namespace snapfs::test

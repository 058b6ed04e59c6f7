// SPDX-License-Identifier: MIT
#include "tests/powercut/world.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "core/disk_format.h"
#include "core/error.h"
#include "core/merging_snapshot.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

std::string cow_name(uint64_t number) { return "cow" + std::to_string(number); }

// Records that a loader would believe.
Disk of_stale_records(uint64_t sectors) {
  Disk disk(sectors * kSectorBytes);
  for (uint64_t at = kSectorBytes; at < disk.size(); at += kRecordBytes) {
    const uint64_t i = at / kRecordBytes;
    pack_record({i % 16, 2 + i % 24}, std::span(disk).subspan(at));
  }
  return disk;
}

std::string sectors_in_words(uint64_t first, uint64_t count) {
  return std::to_string(first) + "+" + std::to_string(count);
}

}  // namespace

World::World(const WorldSpec& spec) : spec_(spec) {
  first_disks_.push_back(
      stamped(0, spec.origin_sectors, spec.first_generation));
  for (const WorldSpec::Cow& cow : spec.cows) {
    first_disks_.push_back(of_stale_records(cow.sectors));
  }
  first_expected_.base = View(spec.origin_sectors, spec.first_generation);
  first_expected_.base_table = origin_table("base", "origin");
  first_expected_.next_generation = spec.first_generation + 1;
  live_ = first_expected_;
  add_devices();
}

World::World(const WorldSpec& spec, Disks disks, Expected expected)
    : spec_(spec),
      first_disks_(std::move(disks)),
      first_expected_(std::move(expected)),
      live_(first_expected_) {
  add_devices();
}

World::~World() { set_.reset(); }

void World::add_devices() {
  DeviceObserver& observer = *this;
  for (uint32_t i = 0; i < first_disks_.size(); ++i) {
    const std::string name = i == 0 ? "origin" : cow_name(i);
    auto memory = std::make_shared<MemoryDevice>(first_disks_[i].size(), name);
    memory->write(0, first_disks_[i]);
    if (i != 0 && spec_.cows[i - 1].may_grow_to != 0) {
      memory->set_filesystem(spec_.cows[i - 1].may_grow_to * kSectorBytes);
    }
    opener_.add(name,
                std::make_shared<JournalDevice>(memory, i, journal_, observer));
    memory_.push_back(std::move(memory));
  }
}

std::vector<std::string> World::device_names() const {
  std::vector<std::string> names;
  for (const auto& device : memory_) names.push_back(device->name());
  return names;
}

Disks World::disks() const {
  Disks disks;
  for (const auto& device : memory_) disks.push_back(device->content());
  return disks;
}

void World::note(const std::string& words,
                 std::function<void(Expected&)> change) {
  MutexLock lock(mutex_);
  change(live_);
  journal_.note(words, std::move(change));
}

void World::cuts_begin_here() { first_cut_ = journal_.entries().size(); }

void World::fail(const std::string& why) {
  MutexLock lock(mutex_);
  if (failure_.empty()) failure_ = why;
}

std::shared_ptr<Target> World::target(const std::string& name) const {
  return set_->find(name)->live();
}

// ---- Mounting

void World::open() {
  std::vector<Table> tables{live_.base_table};
  for (const auto& [name, snap] : live_.snaps) tables.push_back(snap.table);
  auto set = std::make_unique<DeviceSet>(opener_, events_);
  set->load(tables);
  set_ = std::move(set);
  note("mounted", [](Expected& expected) {
    for (auto& [name, snap] : expected.snaps) {
      if (snap.is_new) snap.view = expected.base;
      snap.is_new = false;
    }
  });
}

void World::close() {
  const uint64_t id = next_id_++;
  note("unmount", [id](Expected& expected) {
    expected.base.begin_flush(id);
    for (auto& [name, snap] : expected.snaps) snap.view.begin_flush(id);
  });
  set_.reset();
  note("unmounted", [id](Expected& expected) {
    expected.base.end_flush(id);
    for (auto& [name, snap] : expected.snaps) snap.view.end_flush(id);
  });
}

// ---- Requests

void World::put(const std::string& name, uint64_t first, uint64_t count,
                bool is_zero, const std::string& words,
                const std::function<void(uint64_t generation)>& action) {
  uint64_t generation = 0;
  uint64_t id = 0;
  {
    MutexLock lock(mutex_);
    generation = is_zero ? 0 : live_.next_generation++;
    id = next_id_++;
  }
  const std::string what =
      words + " " + name + " " + sectors_in_words(first, count);
  note(what, [=](Expected& expected) {
    expected.next_generation =
        std::max(expected.next_generation, generation + 1);
    expected.view(name).begin_write(first, count, generation, id);
  });
  action(generation);
  note("answer: " + what,
       [=](Expected& expected) { expected.view(name).acknowledge(id); });
}

void World::write(const std::string& name, uint64_t first, uint64_t count) {
  put(name, first, count, false, "write", [&](uint64_t generation) {
    target(name)->write(first * kSectorBytes,
                        stamped(first, count, generation));
  });
  finish_request();
}

bool World::try_write(const std::string& name, uint64_t first, uint64_t count) {
  try {
    write(name, first, count);
    return true;
  } catch (const std::system_error&) {
    finish_request();
    return false;
  }
}

void World::zero(const std::string& name, uint64_t first, uint64_t count) {
  put(name, first, count, true, "zero", [&](uint64_t) {
    target(name)->zero({first * kSectorBytes, count * kSectorBytes});
  });
  finish_request();
}

void World::discard(const std::string& name, uint64_t first, uint64_t count) {
  const auto discard = [&](uint64_t) {
    target(name)->discard({first * kSectorBytes, count * kSectorBytes});
  };
  const auto& table =
      std::get<SnapshotTable>(live_.snaps.at(name).table.target);
  if (table.discard_passdown_origin) {
    put("base", first, count, true, "discard",
        [&](uint64_t) { put(name, first, count, true, "discard", discard); });
  } else {
    put(name, first, count, true, "discard", discard);
  }
  finish_request();
}

void World::flush(const std::string& name) {
  uint64_t id = 0;
  {
    MutexLock lock(mutex_);
    id = next_id_++;
  }
  note("flush " + name,
       [=](Expected& expected) { expected.view(name).begin_flush(id); });
  target(name)->flush();
  note("answer: flush " + name,
       [=](Expected& expected) { expected.view(name).end_flush(id); });
  finish_request();
}

void World::read(const std::string& name) {
  View view;
  {
    MutexLock lock(mutex_);
    view = live_.view(name);
  }
  const std::string difference = difference_in(name, view);
  if (!difference.empty()) fail("a read in flight: " + difference);
}

void World::take(const std::string& name, const SnapSpec& spec) {
  Expected::Snap snap;
  snap.cow = cow_name(spec.cow);
  snap.device = spec.cow;
  snap.is_new = true;
  snap.table =
      snapshot_table(name, "base", snap.cow, spec.type, spec.chunk_sectors);
  SnapshotTable& table = snapshot_of(snap.table);
  table.commit_interval = std::chrono::hours(24);
  table.discard_zeroes_cow = spec.discards;
  table.discard_passdown_origin = spec.passes_discards_down;
  table.space.when_full = spec.when_full;
  const uint64_t id = next_id_++;
  note("take " + name, [=](Expected& expected) {
    expected.base.begin_flush(id);
    expected.snaps[name] = snap;
    expected.snaps[name].view = expected.base;
  });
  set_->load({snap.table});
  note("answer: take " + name, [=](Expected& expected) {
    expected.base.end_flush(id);
    expected.snaps[name].is_new = false;
    expected.snaps[name].view = expected.base;
  });
  finish_request();
}

void World::expect_full(const std::string& name) {
  note(name + " may become invalid", [=](Expected& expected) {
    expected.snaps.at(name).may_be_invalid = true;
  });
}

void World::hand_over(const std::string& from, const std::string& to,
                      Saved saved) {
  Table table = live_.snaps.at(from).table;
  table.name = to;
  set_->load({table});
  const uint64_t id = next_id_++;
  auto change = [=](Expected& expected) {
    Expected::Snap snap = expected.snaps.at(from);
    expected.snaps.erase(from);
    snap.table = table;
    expected.snaps[to] = std::move(snap);
  };
  note("suspend " + from, [=](Expected& expected) {
    expected.view(from).begin_flush(id);
    if (saved == Saved::early) change(expected);
  });
  const bool was_watching = std::exchange(is_watching_, false);
  set_->suspend(from);
  is_watching_ = was_watching;
  note("answer: suspend " + from, [=](Expected& expected) {
    if (saved == Saved::late) change(expected);
    expected.view(to).end_flush(id);
  });
  if (to != from) set_->remove(from);
  finish_request();
}

// ---- Merging

void World::merge(const std::string& name) {
  const Expected::Snap snap = live_.snaps.at(name);
  Table table = merge_table("base", "origin", snap.cow);
  table.activate = Activate::now;
  const uint64_t id = next_id_++;
  note("merge " + name,
       [=](Expected& expected) { expected.view(name).begin_flush(id); });
  const bool was_watching = std::exchange(is_watching_, false);
  set_->load({table});
  is_watching_ = was_watching;
  note("answer: merge " + name, [=](Expected& expected) {
    expected.view(name).end_flush(id);
    expected.base = expected.view(name);
    expected.base_table = table;
    expected.merging = snap.device;
    expected.snaps.erase(name);
  });
  set_->remove(name);
  finish_request();
}

void World::merge_step(const Merger::StepLimit& limit) {
  auto merging = std::dynamic_pointer_cast<MergingSnapshot>(target("base"));
  if (merging->merger().step(limit) != 0) return finish_request();
  merging.reset();
  set_->merge_step("base");
  note("the merge has ended", [](Expected& expected) {
    expected.base_table = origin_table("base", "origin");
    expected.merging = 0;
  });
  finish_request();
}

void World::merge_to_the_end() {
  while (is_merging()) merge_step({});
}

// ---- Reverting

void World::revert(const std::string& name) {
  using State = Expected::Revert::State;
  const uint64_t id = next_id_++;
  note("revert to " + name, [=](Expected& expected) {
    expected.view(name).begin_flush(id);
    expected.revert = {State::begins, name};
  });
  const bool was_watching = std::exchange(is_watching_, false);
  set_->revert(name, {});
  is_watching_ = was_watching;
  note("answer: revert to " + name, [=](Expected& expected) {
    expected.view(name).end_flush(id);
    expected.base = expected.view(name);
    expected.revert.state = State::under_way;
  });
  finish_request();
}

void World::revert_step(const BackgroundCopy::StepLimit& limit) {
  if (set_->merge_step("base", limit) != 0) return finish_request();
  note("the revert has ended",
       [](Expected& expected) { expected.revert = {}; });
  finish_request();
}

void World::revert_to_the_end() {
  while (is_reverting()) revert_step({});
}

// ---- Several threads

void World::in_parallel(const std::vector<Request>& requests) {
  is_concurrent_ = true;
  std::vector<std::thread> threads;
  for (const Request& request : requests) {
    threads.emplace_back([&request, this] {
      try {
        request();
      } catch (const std::exception& error) {
        fail(error.what());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  is_concurrent_ = false;
  finish_request();
}

bool World::interleave(uint64_t at, Interleaving::Second kind,
                       const Request& first, const Request& second) {
  is_concurrent_ = true;
  Interleaving interleaving(at, kind, [&] {
    try {
      second();
    } catch (const std::exception& error) {
      fail(std::string("the second request: ") + error.what());
    }
  });
  interleaving_ = &interleaving;
  try {
    first();
  } catch (...) {
    interleaving.finish();
    interleaving_ = nullptr;
    is_concurrent_ = false;
    throw;
  }
  const bool has_met = interleaving.finish();
  interleaving_ = nullptr;
  is_concurrent_ = false;
  finish_request();
  return has_met;
}

void World::before(bool) {
  if (interleaving_ != nullptr) interleaving_->before_transfer();
}

void World::after(bool is_read) {
  if (!is_watching_ || is_concurrent_ || is_read || set_ == nullptr) return;
  const std::string why = difference();
  if (!why.empty()) fail(why);
}

// ---- Checking

void World::finish_request() {
  if (is_concurrent_) return;
  for (const auto& [name, snap] : Expected(live_).snaps) {
    if (snap.must_be_invalid) continue;
    auto* snapshot = dynamic_cast<Snapshot*>(target(name).get());
    if (snapshot->exceptions().state() != SnapshotState::invalid) continue;
    if (!snap.may_be_invalid) {
      fail(name + " has become invalid: " + snapshot->exceptions().reason());
    }
    note(name + " is invalid", [name = name](Expected& expected) {
      expected.snaps.at(name).must_be_invalid = true;
    });
  }
  check();
}

void World::check() {
  const std::string why = difference();
  if (!why.empty()) fail(why);
  if (!failure_.empty()) throw Broken(failure_);
}

std::string World::difference() {
  std::string why = difference_in("base", live_.base);
  for (const auto& [name, snap] : live_.snaps) {
    if (snap.must_be_invalid || snap.is_new || !why.empty()) continue;
    try {
      why = difference_in(name, snap.view);
    } catch (const std::system_error& error) {
      if (!snap.may_be_invalid) why = error.what();
    }
  }
  return why;
}

std::string World::difference_in(const std::string& name, const View& view) {
  Disk bytes(view.size() * kSectorBytes);
  target(name)->read(0, bytes);
  for (uint64_t sector = 0; sector < view.size(); ++sector) {
    const std::byte* data = &bytes[sector * kSectorBytes];
    const auto generation = generation_in(data, sector);
    if (generation && view.is_now(sector, *generation)) continue;
    return name + ": sector " + std::to_string(sector) + " is " +
           describe_sector({data, kSectorBytes}) + " while it is used, not " +
           view.in_words(sector);
  }
  return "";
}

bool World::has_room(uint64_t first, uint64_t count) {
  for (const auto& [name, snap] : live_.snaps) {
    if (snap.must_be_invalid) continue;
    CowExceptions& exceptions =
        dynamic_cast<Snapshot&>(*target(name)).exceptions();
    const ByteRange range{first * kSectorBytes, count * kSectorBytes};
    if (exceptions.state() != SnapshotState::active ||
        !exceptions.has_room(exceptions.chunk_size().cover(range).count)) {
      return false;
    }
  }
  return true;
}

}  // namespace snapfs::test

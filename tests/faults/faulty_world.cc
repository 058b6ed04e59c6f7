// SPDX-License-Identifier: MIT
#include "tests/faults/faulty_world.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/error.h"
#include "core/merging_snapshot.h"
#include "core/no_room_yet.h"
#include "core/snapshot.h"
#include "tests/support/parked_thread.h"
#include "tests/support/pattern.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kBytes = FaultyWorld::kOriginSectors * kSectorBytes;
// The generation of a sector of zeroes.
constexpr uint64_t kZeroes = 0;

}  // namespace

// What a device shows.
struct FaultyWorld::View {
  struct Sector {
    std::set<uint64_t> now{1};  // generations
    std::set<uint64_t> kept{1};
    // A flush has failed, and an administrator has taken note of that: what was
    // written before may be lost whatever later flushes say.
    bool is_given_up = false;
  };
  std::vector<Sector> sectors =
      std::vector<Sector>(FaultyWorld::kOriginSectors);

  void put(uint64_t first, uint64_t count, uint64_t generation,
           bool has_failed) {
    for (uint64_t i = first; i != first + count; ++i) {
      if (!has_failed) sectors[i].now.clear();
      sectors[i].now.insert(generation);
      sectors[i].kept.insert(generation);
      if (!has_failed) sectors[i].is_given_up = false;
    }
  }
  void flush() {
    for (Sector& sector : sectors) {
      if (!sector.is_given_up) sector.kept = sector.now;
    }
  }
  void give_up() {
    for (Sector& sector : sectors)
      sector.is_given_up = sector.kept != sector.now;
  }
};

struct FaultyWorld::Snap {
  std::string cow;
  Options options;
  std::set<std::string> names;  // that it has had
  View view;
  bool invalid = false;
  // Invalid, and the COW may say so or not: nothing is known of it after a
  // power cut.
  bool unrecorded = false;
};

FaultyWorld::FaultyWorld() : base_(std::make_unique<View>()) {
  add_cow("origin", kOriginSectors);
  stamp_device(*disks_.at("origin").volatile_device, {0, kBytes}, 1);
  disks_.at("origin").volatile_device->flush();
  open();
}

FaultyWorld::~FaultyWorld() = default;

void FaultyWorld::require(bool condition, const std::string& what) const {
  if (!condition) throw Violation(what);
}

// ---- Devices

void FaultyWorld::add_cow(const std::string& device, uint64_t sectors) {
  Disk disk;
  disk.volatile_device =
      std::make_shared<VolatileDevice>(sectors * kSectorBytes, device);
  disk.device = std::make_shared<FaultyDevice>(disk.volatile_device);
  disk.device->set_on_failed_flush(
      [below = disk.volatile_device] { below->drop_cache(); });
  opener_.add(device, disk.device);
  disks_[device] = std::move(disk);
}

void FaultyWorld::grow_cow(const std::string& device, uint64_t sectors) {
  VolatileDevice& below = *disks_.at(device).volatile_device;
  below.set_size(below.size() + sectors * kSectorBytes);
}

void FaultyWorld::set_filesystem(const std::string& device, uint64_t bytes) {
  disks_.at(device).volatile_device->set_filesystem(bytes);
}

void FaultyWorld::inject(const std::string& device, FaultyDevice::Fault fault) {
  disks_.at(device).device->inject(fault);
}

void FaultyWorld::heal() {
  for (auto& [name, disk] : disks_) disk.device->heal();
}

uint64_t FaultyWorld::failures() const {
  uint64_t count = 0;
  for (const auto& [name, disk] : disks_) count += disk.device->failures();
  return count;
}

std::vector<std::string> FaultyWorld::devices() const {
  std::vector<std::string> names;
  for (const auto& [name, disk] : disks_) names.push_back(name);
  return names;
}

// ---- Calls

FaultyWorld::Result FaultyWorld::attempt(const std::function<void()>& call) {
  Result result;
  try {
    call();
  } catch (const NoRoomYet&) {
    throw;
  } catch (const TableError& error) {
    result = {error.error(), error.what()};
  } catch (const std::system_error& error) {
    result = {errno_of(error), error.what()};
  } catch (const std::exception& error) {
    throw Violation(std::string("an error of no kind: ") + error.what());
  }
  note_invalid();
  return result;
}

FaultyWorld::Result FaultyWorld::attempt_load(std::vector<Table> tables) {
  return attempt([&] {
    try {
      set_->load(std::move(tables));
    } catch (const TableError&) {
      throw;
    } catch (const std::exception& error) {
      throw Violation(std::string("a load fails with a TableError, not: ") +
                      error.what());
    }
  });
}

void FaultyWorld::check_error(const Result& result,
                              const std::string& what) const {
  if (result.error == 0) return;
  const std::string text = what + ": " + result.text;
  require(may_fail(), "it fails without a fault: " + text);
  require(result.error == EIO || result.error == ENOSPC ||
              result.error == EOPNOTSUPP,
          "errno " + std::to_string(result.error) + ": " + text);
}

std::shared_ptr<Target> FaultyWorld::target(const std::string& name) const {
  std::shared_ptr<Device> device = set_->find(name);
  return device == nullptr ? nullptr : device->live();
}

FaultyWorld::View& FaultyWorld::view(const std::string& name) {
  return name == "base" ? *base_ : snaps_.at(name)->view;
}

std::string FaultyWorld::status(const std::string& name) const {
  return target(name)->status_line();
}

// Asks no device.
bool FaultyWorld::is_invalid(const std::string& name) const {
  const auto snapshot = std::dynamic_pointer_cast<Snapshot>(target(name));
  return snapshot->exceptions().state() == SnapshotState::invalid;
}

// Invalid is final, and has a reason that was told.
void FaultyWorld::note_invalid() {
  for (auto& [name, snap] : snaps_) {
    const auto device = set_->find(name);
    if (device == nullptr || device->state() == DeviceState::handed_over) {
      continue;
    }
    const bool is_now = is_invalid(name);
    require(is_now || !snap->invalid, name + " is valid again");
    if (!is_now || snap->invalid) continue;
    snap->invalid = true;
    bool is_told = false;
    for (const Event& event : events_.events()) {
      if (event.kind != EventKind::invalid) continue;
      if (!snap->names.contains(event.device)) continue;
      is_told = true;
      if (event.text.find("not recorded") != std::string::npos) {
        snap->unrecorded = true;
      }
    }
    require(is_told, name + " is invalid without a word");
  }
}

bool FaultyWorld::has(const std::string& name) const {
  return target(name) != nullptr;
}

bool FaultyWorld::is_merging() const {
  return std::dynamic_pointer_cast<MergingSnapshot>(target("base")) != nullptr;
}

std::vector<std::string> FaultyWorld::snapshots() const {
  std::vector<std::string> names;
  for (const auto& [name, snap] : snaps_) names.push_back(name);
  return names;
}

// ---- Operations

Table FaultyWorld::table_of(const std::string& name, const Snap& snap) const {
  Table table = snapshot_table(name, "base", snap.cow, snap.options.type,
                               snap.options.chunk_sectors);
  SnapshotTable& snapshot = snapshot_of(table);
  snapshot.commit_interval = std::chrono::hours(1);
  snapshot.discard_zeroes_cow = snap.options.discards;
  snapshot.discard_passdown_origin = snap.options.passes_down;
  snapshot.space.when_full = snap.options.when_full;
  return table;
}

// What was there of the origin is durable then.
bool FaultyWorld::snapshot(const std::string& name, const std::string& cow,
                           const Options& options) {
  auto snap = std::make_unique<Snap>();
  snap->cow = cow;
  snap->names = {name};
  snap->options = options;
  const Result result = attempt_load({table_of(name, *snap)});
  check_error(result, "load " + name);
  require(has(name) == (result.error == 0), "all of a load or nothing");
  if (result.error != 0) return false;
  base_->flush();
  snap->view = *base_;
  snaps_[name] = std::move(snap);
  return true;
}

bool FaultyWorld::write(const std::string& name, uint64_t first,
                        uint64_t count) {
  return write(name, first, count, false);
}

bool FaultyWorld::write_when_full(const std::string& name, uint64_t first,
                                  uint64_t count) {
  return write(name, first, count, true);
}

bool FaultyWorld::write(const std::string& name, uint64_t first, uint64_t count,
                        bool may_be_full) {
  const uint64_t generation = ++generation_;
  const std::vector<std::byte> data = stamped(first, count, generation);
  ParkedThread parked;
  auto pass = set_->find(name)->admission().enter(parked);
  if (!pass) {
    set_->find(name)->admission().withdraw(parked);
    return false;
  }
  Result result;
  try {
    result = attempt([&] { target(name)->write(first * kSectorBytes, data); });
  } catch (const NoRoomYet&) {
    // Part of it may have been carried out.
    view(name).put(first, count, generation, true);
    throw;
  }
  const bool is_lost = name != "base" && snaps_.at(name)->invalid;
  if (may_be_full) {
    require(result.error == 0 || result.error == EIO || may_fail(),
            "a full store is an I/O error: " + result.text);
  } else if (!is_lost) {
    check_error(result, "write " + name);
  }
  view(name).put(first, count, generation, result.error != 0);
  return result.error == 0;
}

bool FaultyWorld::discard(const std::string& name, uint64_t first,
                          uint64_t count) {
  const Result result = attempt([&] {
    target(name)->discard({first * kSectorBytes, count * kSectorBytes});
  });
  const bool is_lost = name != "base" && snaps_.at(name)->invalid;
  if (!is_lost && result.error != EOPNOTSUPP) {
    check_error(result, "discard " + name);
  }
  view(name).put(first, count, kZeroes, result.error != 0);
  if (name != "base" && snaps_.at(name)->options.passes_down) {
    base_->put(first, count, kZeroes, result.error != 0);
  }
  return result.error == 0;
}

void FaultyWorld::compare(const std::string& name,
                          const std::vector<std::byte>& data,
                          bool after_power_cut) {
  for (uint64_t i = 0; i != kOriginSectors; ++i) {
    auto bytes = std::span(data).subspan(i * kSectorBytes, kSectorBytes);
    const uint64_t value = load_little_endian(bytes);
    const uint64_t found = value == 0 ? kZeroes : value >> kGenerationShift;
    const bool is_whole =
        found == kZeroes
            ? std::all_of(bytes.begin(), bytes.end(),
                          [](std::byte b) { return b == std::byte{0}; })
            : stamp_difference(bytes, i, found).empty();
    const View::Sector& sector = view(name).sectors[i];
    const auto& known = after_power_cut ? sector.kept : sector.now;
    if (is_whole && known.contains(found)) continue;
    std::string expected;
    for (uint64_t each : known) expected += " " + std::to_string(each);
    throw Violation(name + (after_power_cut ? ", loaded again" : "") +
                    ": sector " + std::to_string(i) + " is " +
                    describe_sector(bytes) + ", and may be of generation" +
                    expected);
  }
}

bool FaultyWorld::read(const std::string& name) {
  std::vector<std::byte> data(kBytes);
  const Result result = attempt([&] { target(name)->read(0, data); });
  const bool is_lost = name != "base" && snaps_.at(name)->invalid;
  if (is_lost) {
    require(result.error == EIO, name + " is invalid, and is read");
    return false;
  }
  check_error(result, "read " + name);
  if (result.error != 0) return false;
  compare(name, data, false);
  return true;
}

bool FaultyWorld::flush(const std::string& name) {
  const Result result = attempt([&] { target(name)->flush(); });
  if (name == "base" || !snaps_.at(name)->invalid) {
    check_error(result, "flush " + name);
  }
  if (result.error != 0) {
    has_failed_flush_ = true;
    return false;
  }
  view(name).flush();
  return true;
}

bool FaultyWorld::suspend(const std::string& name) {
  const Result result = attempt([&] { set_->suspend(name); });
  check_error(result, "suspend " + name);
  if (result.error != 0) {
    require(set_->find(name)->state() == DeviceState::live,
            name + " goes on after a suspend that failed");
    return false;
  }
  view(name).flush();
  return true;
}

bool FaultyWorld::resume(const std::string& name) {
  const Result result = attempt([&] { set_->resume(name); });
  check_error(result, "resume " + name);
  if (result.error == 0 && name == "base" && has_failed_flush_) {
    base_->give_up();
    for (auto& [each, snap] : snaps_) snap->view.give_up();
    has_failed_flush_ = false;
  }
  return result.error == 0;
}

bool FaultyWorld::remove(const std::string& name) {
  const Result result = attempt([&] { set_->remove(name); });
  check_error(result, "remove " + name);
  if (result.error != 0) return false;
  snaps_.erase(name);
  return true;
}

bool FaultyWorld::hand_over(const std::string& source,
                            const std::string& name) {
  Snap& snap = *snaps_.at(source);
  const Result loaded = attempt_load({table_of(name, snap)});
  check_error(loaded, "load " + name);
  if (loaded.error != 0) return false;
  const Result result = attempt([&] { set_->suspend(source); });
  check_error(result, "hand over " + source);
  const DeviceState state = set_->find(source)->state();
  if (result.error != 0) {
    require(state == DeviceState::live || state == DeviceState::suspended,
            source + " still has its store");
    // Who gives up gets back what there was.
    check_error(attempt([&] { set_->clear(name); }), "clear " + name);
    check_error(attempt([&] { set_->resume(source); }), "resume " + source);
    return false;
  }
  if (!snap.invalid) snap.view.flush();
  if (source == name) return true;
  require(state == DeviceState::handed_over, source + " has no store");
  auto moved = std::move(snaps_.at(source));
  snaps_.erase(source);
  moved->names.insert(name);
  snaps_[name] = std::move(moved);
  check_error(attempt([&] { set_->remove(source); }), "remove " + source);
  note_invalid();
  return true;
}

bool FaultyWorld::begin_merge(const std::string& name) {
  Snap& snap = *snaps_.at(name);
  // It keeps nothing that could be merged.
  if (snap.options.type == StoreType::transient) return false;
  Table table = merge_table("base", "origin", snap.cow);
  table.activate = Activate::now;
  const Result result = attempt_load({table});
  if (snap.invalid && result.error != 0) return false;
  check_error(result, "merge " + name);
  require(is_merging() == (result.error == 0), "all of a load or nothing");
  if (result.error != 0) return false;
  snap.view.flush();
  *base_ = std::move(snap.view);
  merging_cow_ = snap.cow;
  snaps_.erase(name);
  check_error(attempt([&] { set_->remove(name); }), "remove " + name);
  return true;
}

bool FaultyWorld::merge_step() {
  if (!is_merging()) return false;
  uint64_t merged = 0;
  auto merging = std::dynamic_pointer_cast<MergingSnapshot>(target("base"));
  const Result result = attempt([&] {
    merged = merging->merger().step({4 * kSectorBytes, 3});
    if (merged == 0) set_->merge_step("base");
  });
  check_error(result, "merge");
  return result.error == 0 && merged != 0;
}

// ---- What it has come to

void FaultyWorld::check() {
  heal();
  std::vector<std::string> names = snapshots();
  names.push_back("base");
  for (const std::string& name : names) {
    const bool is_lost = name != "base" && snaps_.at(name)->invalid;
    require(read(name) || is_lost, name + " cannot be read");
  }
  // What is told to be durable is, whatever was told before.
  for (const std::string& name : names) flush(name);
  // An error that was told is over when somebody says so, but for what is lost.
  if (set_->find("base")->state() != DeviceState::live) return;
  flush("base");
  require(resume("base"), "base goes on");
  try {
    write_when_full("base", 1, 2);
  } catch (const NoRoomYet&) {
    // It is not tried again.
  }
  require(flush("base"), "base can be flushed again");
}

std::map<std::string, std::vector<std::byte>> FaultyWorld::images() const {
  std::map<std::string, std::vector<std::byte>> result;
  for (const auto& [name, disk] : disks_) {
    result[name] = disk.volatile_device->durable_content();
  }
  return result;
}

void FaultyWorld::load_images(
    const std::map<std::string, std::vector<std::byte>>& images) {
  for (const auto& [name, image] : images) {
    disks_.at(name).volatile_device->write(0, image);
    disks_.at(name).volatile_device->flush();
  }
  open();
  settle("base");
  for (const std::string& name : snapshots()) settle(name);
}

void FaultyWorld::cut_power() {
  heal();
  const auto durable = images();
  set_.reset();
  load_images(durable);
}

void FaultyWorld::end() {
  heal();
  set_.reset();
  load_images(images());
}

void FaultyWorld::open() {
  set_ = std::make_unique<DeviceSet>(opener_, events_);
  std::vector<Table> tables;
  tables.push_back(merging_cow_ ? merge_table("base", "origin", *merging_cow_)
                                : origin_table("base", "origin"));
  std::erase_if(snaps_, [](const auto& each) {
    return each.second->options.type == StoreType::transient ||
           each.second->unrecorded;
  });
  for (const auto& [name, snap] : snaps_) {
    tables.push_back(table_of(name, *snap));
  }
  try {
    set_->load(tables);
  } catch (const std::exception& error) {
    throw Violation(std::string("it does not load again: ") + error.what());
  }
}

// What is found after a power cut is what there is from then on.
void FaultyWorld::settle(const std::string& name) {
  if (name != "base") {
    Snap& snap = *snaps_.at(name);
    const bool is_now = is_invalid(name);
    require(is_now || !snap.invalid, name + " is valid again");
    const bool was_invalid = snap.invalid;
    // It may be that nobody had asked since.
    snap.invalid = is_now;
    if (is_now) {
      require(may_fail() || was_invalid, name + " is invalid without a fault");
      return;
    }
  }
  std::vector<std::byte> data(kBytes);
  target(name)->read(0, data);
  compare(name, data, true);
  for (uint64_t i = 0; i != kOriginSectors; ++i) {
    const uint64_t value =
        load_little_endian(std::span(data).subspan(i * kSectorBytes, 8));
    const uint64_t found = value == 0 ? kZeroes : value >> kGenerationShift;
    view(name).sectors[i].now = view(name).sectors[i].kept = {found};
  }
}

}  // namespace snapfs::test

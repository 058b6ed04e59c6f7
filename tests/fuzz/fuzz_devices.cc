// SPDX-License-Identifier: MIT
//
// Any operations on an origin and its snapshots, whose devices fail, grow, lose
// power and are loaded again in between: every view shows what it may, every
// outcome is one that the manual names. The model is that of tests/faults.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/no_room_yet.h"
#include "tests/faults/faulty_world.h"
#include "tests/fuzz/input.h"

namespace snapfs::test {
namespace {

class Driver {
 public:
  explicit Driver(Input& input) : input_(input) {
    for (unsigned i = 0; i != kCows; ++i) {
      // The last ones are too small for everything.
      world_.add_cow(cow(i), i < 3 ? 400 : 14 + 8 * i);
    }
  }

  void run() {
    for (unsigned steps = 0; !input_.empty() && steps != kMaxSteps; ++steps) {
      try {
        step();
      } catch (const NoRoomYet&) {
        // It has parked, and is not tried again.
      }
    }
    world_.check();
    world_.cut_power();
    world_.check();
  }

 private:
  static constexpr unsigned kCows = 6;
  static constexpr unsigned kMaxSteps = 60;

  static std::string cow(uint64_t number) {
    return "cow" + std::to_string(number);
  }

  bool flag() { return input_.pick(2) == 1; }

  std::string any_snapshot() {
    const std::vector<std::string> names = world_.snapshots();
    return names.empty() ? "base" : names[input_.pick(names.size())];
  }

  std::string any_device() { return flag() ? "base" : any_snapshot(); }

  void step() {
    switch (input_.pick(18)) {
      case 0:
      case 1:
        return add_snapshot();
      case 2:
      case 3:
      case 4:
        return write("base");
      case 5:
      case 6:
      case 7:
        return write(any_snapshot());
      case 8:
        world_.read(any_device());
        return;
      case 9:
        world_.flush(any_device());
        return;
      case 10:
        return discard(any_snapshot());
      case 11:
        return suspend(any_device());
      case 12:
        return hand_over(any_snapshot());
      case 13:
        return merge();
      case 14:
        return remove(any_snapshot());
      case 15:
        return fail();
      case 16:
        world_.grow_cow(cow(input_.pick(kCows)), 1 + input_.pick(60));
        return;
      case 17:
        return end();
    }
  }

  void add_snapshot() {
    if (world_.snapshots().size() == 3 || world_.is_merging()) return;
    const uint64_t number = input_.pick(kCows);
    if (used_.contains(cow(number))) return;
    const uint64_t bits = input_.byte();
    FaultyWorld::Options options;
    options.type = static_cast<StoreType>(bits % 3);
    options.chunk_sectors = uint64_t{1} << (bits / 3 % 4);
    options.discards = (bits & 16) != 0;
    options.passes_down = options.discards && (bits & 32) != 0;
    if ((bits & 64) != 0) {
      options.when_full.grow = {4 * kSectorBytes, 100 * kSectorBytes};
      world_.set_filesystem(cow(number), uint64_t{1} << 30);
    }
    if ((bits & 128) != 0) {
      if (flag()) options.when_full.wait = std::chrono::hours(1);
      options.when_full.refuse_origin = flag();
    }
    used_.insert(cow(number));
    world_.snapshot("s" + std::to_string(next_name_++), cow(number), options);
  }

  void write(const std::string& name) {
    const uint64_t first = input_.pick(FaultyWorld::kOriginSectors);
    const uint64_t count = 1 + input_.pick(40);
    world_.write_when_full(
        name, first, std::min(count, FaultyWorld::kOriginSectors - first));
  }

  void discard(const std::string& name) {
    if (name == "base") return;
    const uint64_t first = input_.pick(FaultyWorld::kOriginSectors);
    const uint64_t count = 1 + input_.pick(40);
    world_.discard(name, first,
                   std::min(count, FaultyWorld::kOriginSectors - first));
  }

  void suspend(const std::string& name) {
    if (!world_.suspend(name)) return;
    write(name);
    world_.resume(name);
  }

  void hand_over(const std::string& name) {
    if (name == "base") return;
    world_.hand_over(name, flag() ? name : "s" + std::to_string(next_name_++));
  }

  void merge() {
    if (world_.is_merging()) {
      world_.merge_step();
      return;
    }
    const std::string name = any_snapshot();
    if (name != "base") world_.begin_merge(name);
  }

  void remove(const std::string& name) {
    if (name != "base") world_.remove(name);
  }

  void fail() {
    static constexpr unsigned kKinds[] = {kRead, kAnyWrite, kFlush, kSize,
                                          kGrow};
    FaultyDevice::Fault fault;
    const uint64_t device = input_.pick(kCows + 1);
    fault.ops = kKinds[input_.pick(5)];
    fault.skip = input_.pick(16);
    const uint64_t mode = input_.pick(4);
    fault.for_ever = mode == 1;
    fault.is_late = mode == 2;
    const bool may_have_no_space = fault.ops == kAnyWrite || fault.ops == kGrow;
    if (mode == 3 && may_have_no_space) fault.error = ENOSPC;
    world_.inject(device == 0 ? "origin" : cow(device - 1), fault);
  }

  void end() {
    switch (input_.pick(4)) {
      case 0:
        return world_.cut_power();
      case 1:
        return world_.end();
      case 2:
        return world_.heal();
      case 3:
        return world_.check();
    }
  }

  Input& input_;
  FaultyWorld world_;
  unsigned next_name_ = 0;
  std::set<std::string> used_;
};

}  // namespace
}  // namespace snapfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  using namespace snapfs::test;
  Input input(data, size);
  try {
    Driver(input).run();
  } catch (const std::exception& error) {
    require(false, error.what());
  }
  return 0;
}

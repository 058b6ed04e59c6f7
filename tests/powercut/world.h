// SPDX-License-Identifier: MIT
//
// One origin, its COW devices, and a mount of them. What its user does is done
// by the core and written to the journal together with what it means. A world
// can be built again from what a cut has left.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/merger.h"
#include "core/mutex.h"
#include "core/snapshot.h"
#include "core/table.h"
#include "tests/powercut/interleaving.h"
#include "tests/powercut/journal.h"
#include "tests/powercut/medium.h"
#include "tests/powercut/model.h"
#include "tests/support/memory_opener.h"

namespace snapfs::test {

using Random = std::mt19937_64;

inline uint64_t pick(Random& random, uint64_t below) {
  return random() % below;  // the same numbers everywhere
}

// What the world promised is not so.
class Broken : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct WorldSpec {
  uint64_t origin_sectors = 32;
  struct Cow {
    uint64_t sectors = 64;
    uint64_t may_grow_to = 0;  // sectors; 0: not at all
  };
  std::vector<Cow> cows;
  uint64_t first_generation = 1;
};

struct SnapSpec {
  uint32_t cow = 1;  // number, from 1
  uint64_t chunk_sectors = 1;
  StoreType type = StoreType::persistent;
  bool discards = false;
  bool passes_discards_down = false;
  WhenFull when_full{};
};

class World : private DeviceObserver {
 public:
  // COWs are full of what looks like records, but for their first sector.
  explicit World(const WorldSpec& spec);
  // What a cut has left, and what is to be expected of it.
  World(const WorldSpec& spec, Disks disks, Expected expected);
  ~World() override;
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Mounts and unmounts. Unmounting is a flush.
  void open();
  void close();

  // ---- What users do. Each throws Broken if a view is not what it should be.
  // Names are "base", or those of snapshots.

  void write(const std::string& name, uint64_t first, uint64_t count);
  // False: the write failed.
  bool try_write(const std::string& name, uint64_t first, uint64_t count);
  void zero(const std::string& name, uint64_t first, uint64_t count);
  void discard(const std::string& name, uint64_t first, uint64_t count);
  void flush(const std::string& name);
  void take(const std::string& name, const SnapSpec& spec);
  // After a request that threw std::system_error.
  void finish_failed() { finish_request(); }
  // What comes next may make this snapshot invalid.
  void expect_full(const std::string& name);

  // When do the saved tables change: as soon as the handover is asked for, or
  // when it has happened?
  enum class Saved { early, late };
  void hand_over(const std::string& from, const std::string& to, Saved saved);
  void merge(const std::string& name);
  // One step; the last one ends the merge.
  void merge_step(const Merger::StepLimit& limit);
  void merge_to_the_end();
  bool is_merging() const { return live_.merging != 0; }

  // From its answer on, both names show what the snapshot showed.
  void revert(const std::string& name);
  // One step; the last one ends the revert.
  void revert_step(const BackgroundCopy::StepLimit& limit);
  void revert_to_the_end();
  bool is_reverting() const {
    return live_.revert.state != Expected::Revert::State::none;
  }

  // Reads and writes of several threads, for what begins at once.
  using Request = std::function<void()>;
  void in_parallel(const std::vector<Request>& requests);
  // False: `first` has no transfer number `at`.
  bool interleave(uint64_t at, Interleaving::Second kind, const Request& first,
                  const Request& second);
  // In a second request, for check() is none of several threads.
  void read(const std::string& name);

  // Compares every view with the model.
  void check();
  // From now on also at each transfer.
  void watch(bool is_watching) { is_watching_ = is_watching; }

  // Has each snapshot room for a write to these sectors?
  bool has_room(uint64_t first, uint64_t count);
  std::string status_of(const std::string& name) const {
    return target(name)->status_line();
  }

  const WorldSpec& spec() const { return spec_; }
  const Expected& expected() const { return live_; }
  Disks disks() const;

  // The power stays on until here.
  void cuts_begin_here();

  // For a sweep. REQUIRES: no request is under way.
  std::size_t first_cut() const { return first_cut_; }  // place in the journal
  const Journal& journal() const { return journal_; }
  const Disks& first_disks() const { return first_disks_; }
  const Expected& first_expected() const { return first_expected_; }
  std::vector<std::string> device_names() const;

 private:
  void before(bool is_read) override;
  void after(bool is_read) override;

  void add_devices();
  std::shared_ptr<Target> target(const std::string& name) const;
  void note(const std::string& words, std::function<void(Expected&)> change);
  void put(const std::string& name, uint64_t first, uint64_t count,
           bool is_zero, const std::string& words,
           const std::function<void(uint64_t generation)>& action);
  std::string difference();
  std::string difference_in(const std::string& name, const View& view);
  void fail(const std::string& why);
  void finish_request();

  const WorldSpec spec_;
  Disks first_disks_;
  Expected first_expected_;

  Journal journal_;
  std::size_t first_cut_ = 0;
  std::vector<std::shared_ptr<MemoryDevice>> memory_;
  MemoryOpener opener_;
  bool is_watching_ = false;
  // More than one thread is at it: views change while they are looked at.
  bool is_concurrent_ = false;
  Interleaving* interleaving_ = nullptr;

  mutable Mutex mutex_;
  Expected live_;
  uint64_t next_id_ = 1;
  std::string failure_;

  struct NoEvents : EventSink {
    void on_event(const Event&) override {}
  } events_;
  std::unique_ptr<DeviceSet> set_;
};

}  // namespace snapfs::test

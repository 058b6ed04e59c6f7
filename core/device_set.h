// SPDX-License-Identifier: MIT
//
// All devices of one mount, by name. Loading and removing are transactions:
// one at a time, everything or nothing. Thread-safe; requests on devices go on
// meanwhile, but for the moment in which a family's members change.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/commit_timer.h"
#include "core/device.h"
#include "core/device_opener.h"
#include "core/device_watcher.h"
#include "core/events.h"
#include "core/family.h"
#include "core/merge_driver.h"
#include "core/mutex.h"
#include "core/table.h"
#include "core/table_keeper.h"

namespace snapfs {

class Merger;
class MergingSnapshot;
class Reverter;
class SalvagedSnapshot;
class Snapshot;

class DeviceSet {
 public:
  DeviceSet(DeviceOpener& opener, EventSink& events);
  // Commits and flushes every store; errors become events.
  ~DeviceSet();

  // Whom to tell about caches; null: nobody. Call before devices are used.
  void set_watcher(DeviceWatcher* watcher) { watcher_ = watcher; }

  // Who keeps the tables for a later mount, from here on; null: nobody. It
  // keeps what is there now first, and throws if it cannot. What cannot be kept
  // is refused, but for clear(), which is carried out, and throws.
  void set_keeper(TableKeeper* keeper) EXCLUDES(load_mutex_);

  // Takes the tables, all or none: opens, reads and checks everything, and only
  // then writes (initialises new stores) and goes live. Throws TableError with
  // the first thing that is wrong, having changed nothing; an I/O error during
  // the writing names the stores that were initialised before it.
  //
  // A table whose COW a live snapshot uses is a handover's destination: it
  // waits until its source is suspended, and takes the store over in that
  // moment (or as its `activate` says). Tables loaded together are handed over
  // together, when the last of their sources is suspended. A table that waits
  // is replaced by a later one of its name.
  void load(std::vector<Table> tables) EXCLUDES(load_mutex_, mutex_);

  // The following throw std::system_error: no_such_device, busy, or EINVAL with
  // the reason in words.

  // Freezes a device: caches are written back, requests inside are carried out,
  // everything is made durable; what comes later parks. Handovers that have
  // waited for it are done on return.
  void suspend(const std::string& name) EXCLUDES(load_mutex_, mutex_);

  // Makes the next table live, or lets a suspended device go on, and a snapshot
  // that has overflowed be written again if there is room now (ENOSPC if it is
  // live, and there is none), and an origin be flushed again after a flush that
  // failed. Nothing to do is success.
  void resume(const std::string& name) EXCLUDES(load_mutex_, mutex_);

  // Drops the next table, and those that were loaded with it and wait. What is
  // live is not disturbed.
  void clear(const std::string& name) EXCLUDES(load_mutex_, mutex_);

  // Removes a device: drains and flushes it and gives up its claims. Busy: it
  // is open (what has been handed over may be), or a table waits for its store.
  void remove(const std::string& name) EXCLUDES(load_mutex_, mutex_);

  // Throws as remove() does if another table waits for this device's store.
  void check_unwanted(const std::string& name) EXCLUDES(load_mutex_, mutex_);

  // Merges and reverts run in the background from now on; before, each step is
  // asked for.
  void start_merging();

  // No step of one begins any more, nor does what its end would bring;
  // those under way have ended on return. Also without start_merging().
  void stop_merging() EXCLUDES(load_mutex_);

  // One step of the merge or the revert of that device, as the background does
  // it: what ends it is done on return. Returns the number of bytes copied; 0:
  // it has finished, and the device is a plain origin. Throws what the step
  // does. REQUIRES: start_merging() was not called.
  uint64_t merge_step(const std::string& name,
                      const BackgroundCopy::StepLimit& limit = {})
      EXCLUDES(load_mutex_, mutex_);

  // Bytes a second, 0 for no limit, from now on. Throws EINVAL if that device
  // is not merging.
  void set_merge_rate(const std::string& name, uint64_t rate)
      EXCLUDES(load_mutex_);

  // The content of the snapshot's origin is that of the snapshot from the
  // return on, durably; what has to be copied for that is copied in the
  // background. Both go on, each for itself. Also throws Errc::store_full or an
  // I/O error if that could not be noted on the COW device: then nothing has
  // changed.
  struct RevertOptions {
    bool force = false;  // even if the origin's file is in use
    uint64_t rate = 0;   // bytes a second; 0: as fast as it goes
  };
  void revert(const std::string& name, const RevertOptions& options)
      EXCLUDES(load_mutex_, mutex_);

  // As set_merge_rate(), of the origin or the snapshot.
  void set_revert_rate(const std::string& name, uint64_t rate)
      EXCLUDES(load_mutex_);

  // Null if there is none of that name.
  std::shared_ptr<Device> find(const std::string& name) const EXCLUDES(mutex_);

  // Is it an origin whose length is its device's, and that has another one now?
  // Its table can be loaded again as it is.
  bool has_outgrown_table(const std::string& name) EXCLUDES(load_mutex_);

  // All of them, ordered by name.
  std::vector<std::shared_ptr<Device>> devices() const EXCLUDES(mutex_);

  // Writes that wait for room, in whatever store, try again. Waits for no load
  // or suspension, which may be waiting for such a write.
  void wake_waiting() const EXCLUDES(mutex_);

  // Makes everything that has been written durable. Errors become events and
  // are reported again by the next flush of the device.
  void flush_all() noexcept EXCLUDES(mutex_);

 private:
  friend class TableLoad;

  // A table that is loaded but not live.
  struct Next {
    Table table;
    std::string source;     // whose store it takes; empty: nobody's
    uint64_t length = 0;    // bytes
    OpenedDevice passdown;  // the origin, for discards or a merge that go there
    std::string merge;      // the device whose merge it waits for; empty: none
    // Names of all that are handed over in the same step.
    std::shared_ptr<std::set<std::string>> group;
  };

  // What a device is made of, beside its target.
  struct Member {
    // Of the live table. `second` is another name of an origin.
    enum class Kind { none, origin, snapshot, merge, second, salvage };

    std::shared_ptr<Device> device;
    std::optional<Next> next;
    Kind kind = Kind::none;
    std::shared_ptr<Family> family;
    DeviceId origin;  // storage of the family's origin
    std::string origin_table_name;
    bool writes_origin = false;    // an origin's writes, a snapshot's passdown
    Snapshot* snapshot = nullptr;  // if it is one
    DeviceId cow;                  // storage of its COW
    std::string cow_path;
    std::string cow_table_name;
    bool cow_is_writable = false;

    std::shared_ptr<SalvagedSnapshot> salvaged;    // if it is one
    std::shared_ptr<MergingSnapshot> merging;      // if it is one
    std::shared_ptr<const Table> table_as_origin;  // which a merge has replaced
    std::string second_name_of;
    bool gave_store = false;  // a second name: was it the merge's source?

    // Do others name it as their origin? A merge is one, too.
    bool is_origin() const { return kind == Kind::origin || is_merge(); }
    bool is_merge() const { return kind == Kind::merge; }
    bool is_second() const { return kind == Kind::second; }
    bool is_snapshot() const { return kind == Kind::snapshot; }
    // It reads the COW of a snapshot that may be a device, too.
    bool is_salvage() const { return kind == Kind::salvage; }
    // Does it own the store on its COW?
    bool has_store() const;
    // Whoever takes the store of `source` over is about the same devices.
    void take_devices_of(const Member& source);
  };

  // A store that was removed, and how often its origin had been written then.
  struct RemovedStore {
    DeviceId origin;
    uint64_t writes = 0;
  };

  using WriteCount = std::shared_ptr<std::atomic<uint64_t>>;

  Member& member_of(const std::string& name) REQUIRES(load_mutex_);
  void check_unwanted(Member& member) REQUIRES(load_mutex_);
  Member* waiting_for(const std::string& source) REQUIRES(load_mutex_);
  void freeze(Member& member) REQUIRES(load_mutex_);
  std::vector<Member*> freeze_all(const std::set<std::string>& names)
      REQUIRES(load_mutex_);
  void thaw(Member& member) REQUIRES(load_mutex_);
  void thaw_all(const std::vector<Member*>& frozen) REQUIRES(load_mutex_);
  void hand_over_what_is_ready() REQUIRES(load_mutex_);
  bool is_ready(const std::set<std::string>& group) REQUIRES(load_mutex_);
  struct Step;
  Step make_step(Member& target) REQUIRES(load_mutex_);
  void hand_over_group(const std::set<std::string>& group)
      REQUIRES(load_mutex_);
  void make_live(Member& source, Member& target,
                 const std::shared_ptr<Snapshot>& snapshot)
      REQUIRES(load_mutex_);
  // What comes of a merge when its step ends. An empty failure: it has ended.
  void merge_ended(std::shared_ptr<Merger> merger, const std::string& failure)
      EXCLUDES(load_mutex_, mutex_);
  Member* merge_by(const Merger& merger) REQUIRES(load_mutex_);
  Member* merge_into(const DeviceId& origin) REQUIRES(load_mutex_);
  void check_merge_may_begin(const Table& table) REQUIRES(load_mutex_);
  void check_merges_may_begin(const std::string& source) REQUIRES(load_mutex_);
  void make_merge_live(Member& source, Member& target,
                       std::shared_ptr<MergingSnapshot> merging)
      REQUIRES(load_mutex_);
  void install_merge(Member& member, std::shared_ptr<const Table> table,
                     std::shared_ptr<MergingSnapshot> merging)
      REQUIRES(load_mutex_);
  void begin_merge(Member& member) REQUIRES(load_mutex_);
  void add_second_names(Member& member) REQUIRES(load_mutex_);
  void become_second_name(Member& member, Member& of) REQUIRES(load_mutex_);
  std::vector<Member*> second_names_of(const std::string& name)
      REQUIRES(load_mutex_);
  std::set<std::string> all_names_of(const std::string& name)
      REQUIRES(load_mutex_);
  void set_live_of_all_names(Member& origin,
                             const std::shared_ptr<Target>& target)
      REQUIRES(load_mutex_);
  void thaw_second_names(const std::vector<Member*>& frozen)
      REQUIRES(load_mutex_);
  void check_unused(const std::string& name, const std::string& what,
                    const std::string& force) REQUIRES(load_mutex_);
  void become_origin(Member& member) REQUIRES(load_mutex_);
  void keep_after_merge(const std::string& name) REQUIRES(load_mutex_);
  std::vector<Table> take_waiting_for_merge(const std::string& name)
      REQUIRES(load_mutex_);

  void copy_ended(std::shared_ptr<BackgroundCopy> copy,
                  const std::string& failure) EXCLUDES(load_mutex_, mutex_);

  // Null: the member is neither the origin nor the snapshot of one.
  std::shared_ptr<Reverter> revert_of(const Member& member)
      REQUIRES(load_mutex_);
  void check_revertible(Member& snapshot) REQUIRES(load_mutex_);
  Member& origin_to_revert(const Member& snapshot) REQUIRES(load_mutex_);
  void check_no_other_copy(const Member& origin) REQUIRES(load_mutex_);
  void check_not_reverting(const Member& member) REQUIRES(load_mutex_);
  std::shared_ptr<Reverter> begin_revert(Member& snapshot,
                                         std::shared_ptr<BlockDevice> origin)
      REQUIRES(load_mutex_);
  void announce_revert(Member& origin,
                       const std::shared_ptr<Reverter>& reverter, uint64_t rate)
      REQUIRES(load_mutex_);
  void pause_revert(const Member& origin) REQUIRES(load_mutex_);
  void resume_revert(const Member& member) REQUIRES(load_mutex_);
  Member* origin_by(const Reverter& reverter) REQUIRES(load_mutex_);
  void revert_ended(const std::shared_ptr<Reverter>& reverter,
                    const std::string& failure) EXCLUDES(load_mutex_);

  void resume_live(Member& member) REQUIRES(load_mutex_);
  void resume_destination(Member& member) REQUIRES(load_mutex_);
  void cancel_next(Member& member) REQUIRES(load_mutex_);
  void drop_next(const std::string& name) REQUIRES(load_mutex_);
  void set_next(const std::string& name, Next next) REQUIRES(load_mutex_);
  void leave_group(const std::string& name, Member& member,
                   const std::set<std::string>* stays_in) REQUIRES(load_mutex_);
  void take_down(Member member) REQUIRES(load_mutex_);
  void flush(Device& device) noexcept;
  KeptDevices kept() REQUIRES(load_mutex_);
  void expect_handovers(const std::set<std::string>& suspended,
                        KeptDevices& kept) REQUIRES(load_mutex_);
  void expect_handover(const std::set<std::string>& group, KeptDevices& kept)
      REQUIRES(load_mutex_);
  void expect_removal(const Member& member, KeptDevices& kept)
      REQUIRES(load_mutex_);
  void keep_dropped(const std::string& name) REQUIRES(load_mutex_);
  WriteCount write_count(const DeviceId& origin) REQUIRES(load_mutex_);

  DeviceOpener& opener_;
  EventSink& events_;
  DeviceWatcher* watcher_ = nullptr;
  CommitTimer timer_;

  // Held for a whole load or removal, device I/O included. Taken before mutex_.
  Mutex load_mutex_;
  TableKeeper* keeper_ GUARDED_BY(load_mutex_) = nullptr;
  std::map<std::string, Member> members_ GUARDED_BY(load_mutex_);
  std::map<DeviceId, WriteCount> write_counts_ GUARDED_BY(load_mutex_);
  std::map<DeviceId, RemovedStore> removed_ GUARDED_BY(load_mutex_);
  // Invalid, but what is on the COW does not say so.
  std::set<DeviceId> untrusted_ GUARDED_BY(load_mutex_);

  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<Device>> devices_ GUARDED_BY(mutex_);

  // Its thread calls copy_ended(). Never waited for with load_mutex_ held, but
  // for the end of a step.
  MergeDriver merge_driver_;
};

}  // namespace snapfs

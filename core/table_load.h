// SPDX-License-Identifier: MIT
//
// One transaction of DeviceSet::load(): opens and checks all of its tables,
// then writes, then goes live. Used by one thread, under the set's load mutex.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/device_set.h"
#include "core/exception_store.h"
#include "core/exception_table.h"
#include "core/snapshot.h"

namespace snapfs {

class TableLoad {
 public:
  TableLoad(DeviceSet& set, std::vector<Table> tables);
  // Gives everything back that has not gone live.
  ~TableLoad();

  // Throws TableError.
  void run() EXCLUDES(set_.load_mutex_);

 private:
  // One table made ready. Its fate:
  //   live      a new device
  //   replaces  the next life of an origin: no store is concerned
  //   merges    takes the place of a live origin, with a store that was not
  //             live
  //   adjusts   is for a merge that is under way
  //   waits     the destination of a handover
  //   loaded    `activate: manual` without a handover: taken when it is
  //             resumed; or `wait: merge`: taken when the merge has ended
  struct Item {
    Table table;
    OpenedDevice origin;  // an origin's own device; a snapshot's passdown
    OpenedDevice cow;
    std::shared_ptr<Family> family;
    DeviceId origin_storage;
    std::string origin_table_name;
    bool origin_is_written = false;
    uint64_t length = 0;  // bytes

    // What becomes of the table; see Fate.
    enum class Fate {
      live,
      replaces,
      merges,
      adjusts,
      waits,
      loaded,
    } fate = Fate::live;
    std::string source;  // waits: whose store it will take
    std::string merge;   // loaded: the device whose merge it waits for

    // Snapshots that go live.
    bool cow_is_writable = false;
    bool is_invalid = false;
    std::optional<ChunkSize> new_store;  // chunk size of a store to be made
    std::unique_ptr<ExceptionStore> store;
    ExceptionTable exceptions;
    // A revert of its origin to it was under way: the origin, to be written.
    std::shared_ptr<BlockDevice> revert_into;
    bool has_void_note = false;  // of a revert; it goes
    // A salvage: where its origin has been written; null: nobody knows.
    std::shared_ptr<WrittenRanges> written;
    std::string remark;  // for the load event
  };

  // An origin that snapshots can name.
  struct Base {
    std::shared_ptr<Family> family;
    DeviceId storage;
    std::string table_name;
    bool is_writable = false;
  };

  // Opens and reads; changes nothing.
  void prepare() REQUIRES(set_.load_mutex_);
  void prepare(Item& item) REQUIRES(set_.load_mutex_);
  // Initialises new stores.
  void write();
  // Suspends what is to be handed over at once; returns those devices.
  std::vector<DeviceSet::Member*> freeze_sources() REQUIRES(set_.load_mutex_);
  // Takes the snapshots of live origins, all at one point in time, and adds the
  // devices to the set.
  void go_live() REQUIRES(set_.load_mutex_);

  // Keeps what does not go live, or drops it again.
  void wait() REQUIRES(set_.load_mutex_);
  void give_up_waiting(const std::vector<DeviceSet::Member*>& frozen)
      REQUIRES(set_.load_mutex_);

  // What the set's keeper is to keep once all this has been done.
  KeptDevices expected() REQUIRES(set_.load_mutex_);

  using Groups = std::map<std::string, std::shared_ptr<std::set<std::string>>>;
  Groups groups_of_waiting() REQUIRES(set_.load_mutex_);
  bool is_frozen_by_load(const Item& item) const;

  void check_names() REQUIRES(set_.load_mutex_);
  void check_name_of_live(const Item& item, const DeviceSet::Member& member)
      REQUIRES(set_.load_mutex_);
  std::string find_source(const Item& item) REQUIRES(set_.load_mutex_);
  void prepare_handover(Item& item, const DeviceSet::Member& source)
      REQUIRES(set_.load_mutex_);
  void check_pairing(const Item& item, const DeviceSet::Member& source)
      REQUIRES(set_.load_mutex_);
  void replace_origin(Item& item, const std::shared_ptr<Target>& target)
      REQUIRES(set_.load_mutex_);
  void set_base(Item& item) REQUIRES(set_.load_mutex_);
  void check_length_kept(const Item& item, const DeviceSet::Member& self)
      REQUIRES(set_.load_mutex_);
  void prepare_origin(Item& item) REQUIRES(set_.load_mutex_);
  void prepare_snapshot(Item& item) REQUIRES(set_.load_mutex_);
  void prepare_merge(Item& item) REQUIRES(set_.load_mutex_);
  void check_merge_options(const Item& item) const;
  void check_merge_origin(const Item& item) REQUIRES(set_.load_mutex_);
  void check_second_names(const Item& item, const std::string& source)
      REQUIRES(set_.load_mutex_);
  void prepare_merge_of_live(Item& item, const DeviceSet::Member& source)
      REQUIRES(set_.load_mutex_);
  void prepare_adjustment(Item& item, const DeviceSet::Member& live)
      REQUIRES(set_.load_mutex_);
  void check_origin_is_unused(const Item& item) REQUIRES(set_.load_mutex_);
  void refuse_store_that_merges(const Item& item,
                                const DeviceSet::Member& source) const;
  void refuse_during_merge(const Item& item) REQUIRES(set_.load_mutex_);
  void prepare_revert(Item& item) REQUIRES(set_.load_mutex_);
  bool is_origin_writable(const Item& item) REQUIRES(set_.load_mutex_);
  void check_revert_may_go_on(const Item& item) REQUIRES(set_.load_mutex_);
  void check_only_revert(const Item& item) REQUIRES(set_.load_mutex_);
  void refuse_during_reverts() REQUIRES(set_.load_mutex_);
  void refuse_during_revert(const Item& item) REQUIRES(set_.load_mutex_);
  void finish_going_live(Item& item, const std::shared_ptr<Target>& replacement)
      REQUIRES(set_.load_mutex_);
  void replace_by_merge(Item& item, const std::shared_ptr<Target>& target)
      REQUIRES(set_.load_mutex_);
  void adjust_merge(const Item& item) REQUIRES(set_.load_mutex_);
  Base find_base(const Item& item) REQUIRES(set_.load_mutex_);
  Base base_of_path(const Item& item) REQUIRES(set_.load_mutex_);
  std::optional<Base> base_of_storage(const DeviceId& storage)
      REQUIRES(set_.load_mutex_);
  std::shared_ptr<Family> make_family(const OpenedDevice& origin)
      REQUIRES(set_.load_mutex_);
  void check_growable(const Item& item, const BlockDevice& cow) const;
  void check_cow(const Item& item) REQUIRES(set_.load_mutex_);
  bool is_loaded_on(const DeviceSet::Member& member, const DeviceId& cow)
      REQUIRES(set_.load_mutex_);
  void check_stale(const Item& item) REQUIRES(set_.load_mutex_);
  void prepare_store(Item& item);
  void prepare_new_store(Item& item, bool has_foreign_magic);
  void load_store(Item& item, const struct DiskHeader& header);
  ChunkSize checked_chunk_size(const Item& item,
                               const struct DiskHeader& header) const;
  void prepare_salvage(Item& item) REQUIRES(set_.load_mutex_);
  const DeviceSet::Member* check_nobody_needs_cow(const Item& item)
      REQUIRES(set_.load_mutex_);
  void load_records(Item& item, bool is_known_as_invalid)
      REQUIRES(set_.load_mutex_);
  static std::shared_ptr<Target> make_salvage(Item& item);
  void check_chunk_size(const Item& item, uint64_t sectors, const Place& place,
                        const std::string& prefix) const;
  std::vector<Family*> families_of_snapshots() const;
  void flush_written_origins() REQUIRES(set_.load_mutex_);
  // What the set takes over; nothing of it can be seen before.
  struct Ready {
    std::map<std::string, DeviceSet::Member> members;
    std::map<std::string, std::shared_ptr<Device>> devices;
    std::vector<std::pair<Family*, std::shared_ptr<Reverter>>> reverters;
    std::vector<Event> events;
  };
  void make_ready(Item& item, Ready& ready);
  void join_families(const Ready& ready) REQUIRES(set_.load_mutex_);
  static void begin_reverts(const Ready& ready);
  void become_live(const std::string& name, DeviceSet::Member& member)
      REQUIRES(set_.load_mutex_);
  void refuse_foreign_content(const Item& item) const;
  std::shared_ptr<Target> make_target(Item& item);
  [[noreturn]] void fail_writing(const Item& item,
                                 const std::string& why) const;

  DeviceSet& set_;
  std::vector<Item> items_;  // in the order of preparation_rank()
  std::vector<const Item*> initialised_;
  bool is_live_ = false;
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What a load refuses, in which words, and that a refusal has changed nothing;
// and what it accepts.
#include "core/table_load.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/device_set.h"
#include "core/disk_format.h"
#include "core/error.h"
#include "core/persistent_store.h"
#include "tests/support/counting_device.h"
#include "tests/support/faulty_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kSectors = 2048;

Table snapshot(const std::string& name, const std::string& cow,
               uint64_t chunk_sectors = 8,
               StoreType type = StoreType::persistent) {
  return snapshot_table(name, "base", cow, type, chunk_sectors);
}

Table read_only(Table table) {
  if (std::holds_alternative<OriginTable>(table.target)) {
    std::get<OriginTable>(table.target).read_only = true;
  } else {
    snapshot_of(table).read_only = true;
  }
  return table;
}

Table of_origin(Table table, const std::string& origin) {
  snapshot_of(table).origin = origin;
  snapshot_of(table).origin_path = origin;
  return table;
}

Table with_length(Table table, uint64_t sectors) {
  if (std::holds_alternative<OriginTable>(table.target)) {
    std::get<OriginTable>(table.target).length_sectors = sectors;
  } else {
    snapshot_of(table).length_sectors = sectors;
  }
  return table;
}

Table forced(Table table) {
  snapshot_of(table).cow.force_initialise = true;
  return table;
}

Table created(Table table, uint64_t bytes = 1 << 20) {
  snapshot_of(table).cow.create = true;
  snapshot_of(table).cow.create_bytes = bytes;
  return table;
}

Table passed_down(Table table) {
  snapshot_of(table).discard_zeroes_cow = true;
  snapshot_of(table).discard_passdown_origin = true;
  return of_origin(std::move(table), "/origin");
}

struct Refused {
  std::string text;
  int error = 0;
};

// Remembers which COW devices were opened to be written.
class WatchingOpener : public MemoryOpener {
 public:
  OpenedDevice open_cow(const CowPath& cow, bool writable,
                        const Place& place) override {
    is_writable[cow.path] = writable;
    return MemoryOpener::open_cow(cow, writable, place);
  }

  std::map<std::string, bool> is_writable;
};

// Devices /origin, /other, /cow and /cow2.
class TableLoadTest : public testing::Test {
 protected:
  TableLoadTest() {
    for (const char* path : {"/origin", "/other"}) {
      stamp_device(*add(path, kSectors), {0, kSectors * kSectorBytes}, 1);
    }
    add("/cow", 2 * kSectors);
    add("/cow2", 2 * kSectors);
  }

  std::shared_ptr<MemoryDevice> add(const std::string& path,
                                    uint64_t sector_count,
                                    uint32_t block_size = 512) {
    auto device = std::make_shared<MemoryDevice>(sector_count * kSectorBytes,
                                                 path, block_size);
    opener_.add(path, device);
    devices_[path] = device;
    return device;
  }

  void load(std::vector<Table> tables) { set_->load(std::move(tables)); }

  // What the load is refused with; and that it has changed nothing.
  Refused refused(const std::vector<Table>& tables) {
    std::map<std::string, std::vector<std::byte>> content;
    std::map<std::string, unsigned> open;
    for (const auto& [path, device] : devices_) {
      content[path] = device->content();
      open[path] = opener_.open_count(path);
    }
    auto live = set_->devices();
    size_t events = events_.events().size();

    Refused found{"it was accepted", 0};
    try {
      load(tables);
    } catch (const TableError& error) {
      found = {error.what(), error.error()};
    }

    for (const auto& [path, device] : devices_) {
      EXPECT_EQ(device->content() == content[path], true)
          << path << " was changed";
      EXPECT_EQ(opener_.open_count(path), open[path]) << path << " is open";
    }
    EXPECT_EQ(set_->devices(), live);
    EXPECT_EQ(events_.events().size(), events);
    return found;
  }

  void expect_refused(const std::vector<Table>& tables, const std::string& text,
                      int error) {
    Refused found = refused(tables);
    EXPECT_EQ(found.text, text);
    EXPECT_EQ(found.error, error);
  }

  // A store of chunks of 8 sectors on /cow with these records, and a header
  // like this.
  void make_store(const std::vector<DiskRecord>& records,
                  DiskHeader header = {.chunk_sectors = 8}) {
    PersistentStore::create(devices_["/cow"], ChunkSize(8));
    StoreLayout layout{ChunkSize(8)};
    for (size_t i = 0; i < records.size(); ++i) {
      std::vector<std::byte> bytes(kRecordBytes);
      pack_record(records[i], bytes);
      devices_["/cow"]->write(layout.slot_offset(i), bytes);
    }
    std::vector<std::byte> bytes(kHeaderBytes);
    pack_header(header, bytes);
    devices_["/cow"]->write(0, bytes);
  }

  std::string status(const std::string& name) {
    return set_->find(name)->live()->status_line();
  }

  std::string table_line(const std::string& name) {
    return set_->find(name)->live()->table_line();
  }

  std::shared_ptr<Target> target(const std::string& name) {
    return set_->find(name)->live();
  }

  WatchingOpener opener_;
  EventRecorder events_;
  std::map<std::string, std::shared_ptr<MemoryDevice>> devices_;
  std::unique_ptr<DeviceSet> set_ =
      std::make_unique<DeviceSet>(opener_, events_);
};

const Table kBase = origin_table("base", "/origin");

// --- Names -------------------------------------------------------------------

TEST_F(TableLoadTest, two_tables_of_one_name_are_refused) {
  expect_refused({kBase, origin_table("base", "/other")},
                 "base.yaml:1:1: two tables have the name base", EINVAL);
}

TEST_F(TableLoadTest, an_origin_that_is_live_keeps_its_device) {
  load({kBase});

  expect_refused({origin_table("base", "/other")},
                 "base.yaml:2:9: base is live with another device, /origin; "
                 "remove it first",
                 EBUSY);
}

TEST_F(TableLoadTest, a_name_that_is_live_keeps_its_target) {
  load({kBase, snapshot("s", "/cow")});

  expect_refused({origin_table("s", "/other")},
                 "s.yaml:1:1: s is live as a snapshot; remove it first", EBUSY);
  expect_refused({snapshot("s", "/cow2")},
                 "s.yaml:1:1: s is live with another COW device, /cow; remove "
                 "it first",
                 EBUSY);
}

// --- Origins -----------------------------------------------------------------

TEST_F(TableLoadTest, an_origin_device_that_is_missing_is_refused) {
  expect_refused({origin_table("base", "/none")},
                 "base.yaml:2:9: /none: no such device", ENOENT);
}

TEST_F(TableLoadTest, an_origin_device_that_is_held_is_refused) {
  opener_.set_holder("/origin", "somebody");

  Refused found = refused({kBase});

  EXPECT_EQ(found.error, EBUSY);
  EXPECT_NE(found.text.find("somebody"), std::string::npos) << found.text;
}

TEST_F(TableLoadTest, an_origin_longer_than_its_device_is_refused) {
  expect_refused({with_length(kBase, 2049)},
                 "base.yaml:1:1: the length of 2049 sectors exceeds /origin, "
                 "which has 2048",
                 EINVAL);
  expect_refused({with_length(kBase, ~uint64_t{0})},
                 "base.yaml:1:1: the length of 18446744073709551615 sectors "
                 "exceeds /origin, which has 2048",
                 EINVAL);
}

TEST_F(TableLoadTest, an_origin_of_length_0_is_refused) {
  expect_refused({with_length(kBase, 0)}, "base.yaml:1:1: the length is 0",
                 EINVAL);
}

TEST_F(TableLoadTest, a_second_origin_of_one_device_is_refused) {
  expect_refused({kBase, origin_table("again", "/origin")},
                 "again.yaml:2:9: /origin is the origin base already", EBUSY);
  load({kBase});
  opener_.add_alias("/alias", "/origin");
  expect_refused({origin_table("again", "/alias")},
                 "again.yaml:2:9: /alias is the origin base already", EBUSY);
}

TEST_F(TableLoadTest, a_live_cow_device_is_refused_as_an_origin) {
  load({kBase, snapshot("s", "/cow")});

  expect_refused({origin_table("o", "/cow")},
                 "o.yaml:2:9: /cow is the COW device of s", EBUSY);
}

TEST_F(TableLoadTest, a_writable_origin_needs_snapshots_that_take_copies) {
  make_store({});
  load({read_only(of_origin(snapshot("s", "/cow"), "/origin"))});

  expect_refused({kBase},
                 "base.yaml:2:9: the COW device of snapshot s is open "
                 "read-only, so this origin cannot be written; say "
                 "read_only: true",
                 EBUSY);
  load({read_only(kBase)});
}

// --- Which origin ------------------------------------------------------------

TEST_F(TableLoadTest, an_origin_that_is_neither_name_nor_device_is_refused) {
  expect_refused({of_origin(snapshot("s", "/cow"), "bse")},
                 "s.yaml:2:9: there is no origin named bse, and no device bse",
                 ENOENT);
}

TEST_F(TableLoadTest, a_snapshot_of_a_snapshot_is_refused) {
  expect_refused(
      {kBase, snapshot("s", "/cow"), of_origin(snapshot("t", "/cow2"), "s")},
      "t.yaml:2:9: s is a snapshot, not an origin", EINVAL);
  load({kBase, snapshot("s", "/cow")});
  expect_refused({of_origin(snapshot("t", "/cow2"), "s")},
                 "t.yaml:2:9: s is a snapshot, not an origin", EINVAL);
}

TEST_F(TableLoadTest, a_snapshot_longer_than_its_origin_is_refused) {
  expect_refused({kBase, with_length(snapshot("s", "/cow"), 2049)},
                 "s.yaml:1:1: the length of 2049 sectors exceeds the origin "
                 "/origin, which has 2048",
                 EINVAL);
}

TEST_F(TableLoadTest, tables_are_loaded_in_the_order_they_need) {
  load({snapshot("s", "/cow"), snapshot("t", "/cow2"), kBase});

  EXPECT_EQ(set_->devices().size(), 3u);
  EXPECT_EQ(status("t"), "0 2048 snapshot 16/4096 16");
}

TEST_F(TableLoadTest, an_origin_may_be_named_by_its_path) {
  load({kBase});

  load({of_origin(snapshot("s", "/cow"), "/origin")});

  target("base")->write(0, stamped(0, 8, 2));
  EXPECT_EQ(status("s"), "0 2048 snapshot 24/4096 16");
}

TEST_F(TableLoadTest, an_origin_may_be_loaded_after_its_snapshots) {
  load({of_origin(snapshot("s", "/cow"), "/origin")});

  load({kBase});

  target("base")->write(0, stamped(0, 8, 2));
  EXPECT_EQ(status("s"), "0 2048 snapshot 24/4096 16");
}

TEST_F(TableLoadTest, an_origin_may_be_removed_and_loaded_again) {
  load({kBase, snapshot("s", "/cow")});
  set_->remove("base");

  load({kBase});

  target("base")->write(0, stamped(0, 8, 2));
  EXPECT_EQ(status("s"), "0 2048 snapshot 24/4096 16");
}

// --- Which COW ---------------------------------------------------------------

TEST_F(TableLoadTest, a_cow_device_that_is_missing_is_refused) {
  expect_refused({kBase, snapshot("s", "/none")},
                 "s.yaml:3:6: /none: no such device", ENOENT);
}

TEST_F(TableLoadTest, a_cow_device_that_is_held_is_refused) {
  opener_.set_holder("/cow", "somebody");

  Refused found = refused({kBase, snapshot("s", "/cow")});

  EXPECT_EQ(found.error, EBUSY);
  EXPECT_NE(found.text.find("somebody"), std::string::npos) << found.text;
}

TEST_F(TableLoadTest, a_cow_that_is_its_origin_is_refused) {
  const std::string text =
      "s.yaml:3:6: COW device cannot be the same as origin device";
  opener_.add_alias("/alias", "/origin");

  expect_refused({kBase, snapshot("s", "/origin")}, text, EINVAL);
  expect_refused({kBase, snapshot("s", "/alias")}, text, EINVAL);
  expect_refused({of_origin(snapshot("s", "/alias"), "/origin")}, text, EINVAL);
}

TEST_F(TableLoadTest, a_cow_on_a_loop_of_its_origin_is_refused) {
  opener_.add_loop("/loop", "/origin");

  EXPECT_EQ(refused({kBase, snapshot("s", "/loop")}).error, EBUSY);
  EXPECT_EQ(refused({of_origin(snapshot("s", "/loop"), "/origin")}).error,
            EBUSY);
}

TEST_F(TableLoadTest, a_cow_that_is_another_origin_is_refused) {
  expect_refused({kBase, origin_table("o", "/other"), snapshot("s", "/other")},
                 "s.yaml:3:6: COW device /other is in use by o as its origin",
                 EBUSY);
  load({origin_table("o", "/other")});
  expect_refused({kBase, snapshot("s", "/other")},
                 "s.yaml:3:6: COW device /other is in use by o as its origin",
                 EBUSY);
}

TEST_F(TableLoadTest, one_cow_for_two_tables_is_refused) {
  opener_.add_alias("/alias", "/cow");

  expect_refused({kBase, snapshot("s", "/cow"), snapshot("t", "/cow")},
                 "t.yaml:3:6: COW device /cow is in use by s, which is loaded "
                 "with it",
                 EBUSY);
  expect_refused({kBase, snapshot("s", "/cow"), snapshot("t", "/alias")},
                 "t.yaml:3:6: COW device /alias is in use by s, which is "
                 "loaded with it",
                 EBUSY);
}

TEST_F(TableLoadTest, the_cow_of_a_live_snapshot_belongs_to_its_origin) {
  load({kBase, snapshot("s", "/cow")});

  expect_refused(
      {origin_table("o", "/other"), of_origin(snapshot("t", "/cow"), "o")},
      "t.yaml:2:9: COW device /cow belongs to a snapshot of another origin, "
      "/origin",
      EINVAL);
}

TEST_F(TableLoadTest, two_tables_for_the_store_of_a_snapshot_are_refused) {
  load({kBase, snapshot("s", "/cow")});
  opener_.add_alias("/alias", "/cow");

  expect_refused({snapshot("t", "/cow"), snapshot("u", "/alias")},
                 "u.yaml:3:6: Snapshot cow pairing for exception table "
                 "handover failed: t, which is loaded with it, takes the store",
                 EBUSY);
}

TEST_F(TableLoadTest, a_discard_that_is_passed_down_needs_writable_cows) {
  make_store({});
  load({read_only(of_origin(snapshot("s", "/cow"), "/origin"))});

  expect_refused({passed_down(snapshot("t", "/cow2"))},
                 "t.yaml:2:9: the COW device of snapshot s is open read-only, "
                 "so this origin cannot be written; leave "
                 "discard_passdown_origin out",
                 EBUSY);
}

TEST_F(TableLoadTest, snapshots_loaded_with_a_passdown_take_copies) {
  for (bool is_first : {true, false}) {
    make_store({});
    Table reader = read_only(of_origin(snapshot("s", "/cow"), "/origin"));
    Table passer = passed_down(snapshot("t", "/cow2"));

    load(is_first ? std::vector{reader, passer} : std::vector{passer, reader});

    EXPECT_TRUE(opener_.is_writable["/cow"]) << is_first;
    target("t")->discard({0, 4096});
    EXPECT_EQ(status("s"), "0 2048 snapshot 24/4096 16");
    set_ = std::make_unique<DeviceSet>(opener_, events_);
  }
}

TEST_F(TableLoadTest, a_read_only_snapshot_of_a_resting_origin_only_reads) {
  make_store({{1, 2}});

  load({read_only(of_origin(snapshot("s", "/cow"), "/origin"))});

  EXPECT_FALSE(opener_.is_writable["/cow"]);
}

// --- New stores --------------------------------------------------------------

TEST_F(TableLoadTest, foreign_content_is_refused) {
  opener_.set_foreign_content("/cow", "an ext4 filesystem");
  for (StoreType type : {StoreType::persistent, StoreType::transient}) {
    expect_refused({kBase, snapshot("s", "/cow", 8, type)},
                   "s.yaml:3:6: /cow holds an ext4 filesystem; `initialise: "
                   "force` overwrites it",
                   EINVAL);
  }

  load({kBase, forced(snapshot("s", "/cow"))});

  EXPECT_EQ(status("s"), "0 2048 snapshot 16/4096 16");
}

TEST_F(TableLoadTest, unknown_content_is_refused) {
  std::vector<std::byte> ones(1 << 16, std::byte{0xff});
  devices_["/cow"]->write(0, ones);

  expect_refused({kBase, snapshot("s", "/cow")},
                 "s.yaml:3:6: /cow: Invalid or corrupt snapshot: it begins "
                 "with neither a store nor zeroes; `initialise: force` "
                 "overwrites it",
                 ENXIO);

  load({kBase, forced(snapshot("s", "/cow"))});
  EXPECT_EQ(status("s"), "0 2048 snapshot 16/4096 16");
}

TEST_F(TableLoadTest, a_persistent_store_is_not_taken_for_a_transient_one) {
  make_store({{1, 2}});

  expect_refused({kBase, snapshot("s", "/cow", 8, StoreType::transient)},
                 "s.yaml:3:6: /cow holds a persistent store; `initialise: "
                 "force` overwrites it",
                 EINVAL);
}

TEST_F(TableLoadTest, bad_chunk_sizes_are_refused) {
  const std::string place = "s.yaml:4:13: ";
  for (StoreType type : {StoreType::persistent, StoreType::transient}) {
    for (uint64_t size : {3u, 7u, 12u, (1u << 21) + 1}) {
      expect_refused({kBase, snapshot("s", "/cow", size, type)},
                     place + "Chunk size is not a power of 2", EINVAL);
    }
    expect_refused({kBase, snapshot("s", "/cow", 1 << 22, type)},
                   place + "Chunk size is too high", EINVAL);
  }
}

TEST_F(TableLoadTest, chunks_smaller_than_a_block_are_refused) {
  add("/cow4k", 4096, 4096);
  add("/origin4k", 4096, 4096);
  const std::string text =
      "s.yaml:4:13: Chunk size is not a multiple of device blocksize";

  expect_refused({kBase, snapshot("s", "/cow4k", 4)}, text, EINVAL);
  expect_refused({of_origin(snapshot("s", "/cow", 4), "/origin4k")}, text,
                 EINVAL);
  load({kBase, snapshot("s", "/cow4k", 8)});
}

TEST_F(TableLoadTest, a_new_store_has_chunks_of_32_sectors) {
  load({kBase, snapshot("s", "/cow", 0)});

  EXPECT_EQ(table_line("s"), "0 2048 snapshot /origin /cow P 32");
  EXPECT_EQ(status("s"), "0 2048 snapshot 64/4096 64");
}

TEST_F(TableLoadTest, a_transient_store_needs_a_chunk_size) {
  expect_refused({kBase, snapshot("s", "/cow", 0, StoreType::transient)},
                 "s.yaml:4:13: Chunk size not set", EINVAL);
}

TEST_F(TableLoadTest, a_device_without_room_for_a_store_is_refused) {
  for (uint64_t sector_count : {0u, 1u, 15u}) {
    add("/cow", sector_count);
    expect_refused({kBase, snapshot("s", "/cow")},
                   "s.yaml:3:6: /cow is too small: a store with chunks of 8 "
                   "sectors needs 16 sectors at least, it has " +
                       std::to_string(sector_count),
                   EINVAL);
  }
}

TEST_F(TableLoadTest, a_read_only_table_makes_no_store) {
  expect_refused({read_only(of_origin(snapshot("s", "/cow"), "/origin"))},
                 "s.yaml:3:6: /cow holds no store, and a read-only table does "
                 "not make one",
                 EROFS);
}

TEST_F(TableLoadTest, a_read_only_snapshot_of_a_written_origin_takes_copies) {
  load({kBase, read_only(snapshot("s", "/cow"))});

  target("base")->write(0, stamped(0, 8, 2));

  EXPECT_EQ(status("s"), "0 2048 snapshot 24/4096 16");
  EXPECT_TRUE(target("s")->read_only());
}

// --- Existing stores ---------------------------------------------------------

TEST_F(TableLoadTest, a_store_keeps_its_chunk_size) {
  make_store({{7, 2}}, {.chunk_sectors = 8});

  load({kBase, snapshot("s", "/cow", 16)});

  EXPECT_EQ(table_line("s"), "0 2048 snapshot /origin /cow P 8");
  EXPECT_EQ(events_.events().back().text,
            "0 2048 snapshot /origin /cow P 8 (chunk size 8 in device "
            "metadata overrides table chunk size of 16)");
}

TEST_F(TableLoadTest, a_chunk_size_that_was_not_given_is_overridden_silently) {
  make_store({{7, 2}});

  load({kBase, snapshot("s", "/cow", 0)});

  EXPECT_EQ(events_.events().back().text, "0 2048 snapshot /origin /cow P 8");
}

TEST_F(TableLoadTest, headers_that_make_no_sense_are_refused) {
  const std::string place = "s.yaml:3:6: ";
  struct {
    DiskHeader header;
    std::string text;
  } const cases[] = {
      {{.chunk_sectors = 12},
       "/cow: invalid on-disk chunk size 12: Chunk size is not a power of 2"},
      {{.chunk_sectors = 0},
       "/cow: invalid on-disk chunk size 0: Chunk size is not a power of 2"},
      {{.chunk_sectors = 0xffffffff},
       "/cow: invalid on-disk chunk size 4294967295: Chunk size is not a "
       "power of 2"},
      {{.chunk_sectors = 1U << 31},
       "/cow: invalid on-disk chunk size 2147483648: Chunk size is too high"},
      {{.version = 2, .chunk_sectors = 8},
       "Failed to read snapshot metadata: /cow: unable to handle snapshot "
       "disk version 2: bad snapshot metadata"},
      {{.valid = 0, .version = 2, .chunk_sectors = 8},
       "Failed to read snapshot metadata: /cow: unable to handle snapshot "
       "disk version 2: bad snapshot metadata"},
      {{.chunk_sectors = 1 << 21},
       "Failed to read snapshot metadata: /cow: metadata area 0 (chunk 1) "
       "lies beyond the end of the device: bad snapshot metadata"}};

  for (const auto& each : cases) {
    make_store({}, each.header);
    expect_refused({kBase, snapshot("s", "/cow")}, place + each.text, EINVAL);
  }
}

TEST_F(TableLoadTest, a_chunk_size_below_the_block_size_is_refused) {
  add("/cow", 4096, 4096);
  make_store({}, {.chunk_sectors = 4});

  expect_refused({kBase, snapshot("s", "/cow")},
                 "s.yaml:3:6: /cow: invalid on-disk chunk size 4: Chunk size "
                 "is not a multiple of device blocksize",
                 EINVAL);
}

TEST_F(TableLoadTest, bad_records_are_refused) {
  make_store({{7, 2}, {7, 3}});

  expect_refused({kBase, snapshot("s", "/cow")},
                 "s.yaml:3:6: Failed to read snapshot metadata: /cow: record "
                 "1 (at byte 4112): old chunk 7 is recorded twice: bad "
                 "snapshot metadata",
                 EINVAL);
}

TEST_F(TableLoadTest, the_last_partial_chunk_of_the_origin_may_be_recorded) {
  add("/origin", 2043);
  make_store({{255, 2}});

  load({kBase, snapshot("s", "/cow")});
}

TEST_F(TableLoadTest, a_chunk_behind_the_origin_is_refused) {
  add("/origin", 2040);
  make_store({{255, 2}});

  expect_refused({kBase, snapshot("s", "/cow")},
                 "s.yaml:3:6: Failed to read snapshot metadata: /cow: record "
                 "0 (at byte 4096): old chunk 255 lies beyond the end of the "
                 "origin: bad snapshot metadata",
                 EINVAL);
}

TEST_F(TableLoadTest, metadata_that_cannot_be_read_is_refused) {
  make_store({{7, 2}});
  auto faulty = std::make_shared<FaultyDevice>(devices_["/cow"]);
  faulty->inject({.ops = kRead, .range = ByteRange{4096, 4096}});
  opener_.add("/cow", faulty);

  Refused found = refused({kBase, snapshot("s", "/cow")});

  EXPECT_EQ(found.error, EIO);
  EXPECT_EQ(
      found.text.rfind("s.yaml:3:6: Failed to read snapshot metadata: ", 0), 0u)
      << found.text;
}

TEST_F(TableLoadTest, a_store_marked_invalid_loads_as_invalid) {
  make_store({{7, 2}, {7, 9999}}, {.valid = 0, .chunk_sectors = 8});
  std::vector<std::byte> before = devices_["/cow"]->content();

  load({kBase, snapshot("s", "/cow")});

  EXPECT_EQ(status("s"), "0 2048 snapshot Invalid");
  EXPECT_EQ(table_line("s"), "0 2048 snapshot /origin /cow P 8");
  EXPECT_NE(events_.events().back().text.find("Snapshot is marked invalid"),
            std::string::npos);
  std::vector<std::byte> data(512);
  EXPECT_THROW(target("s")->read(0, data), std::system_error);
  target("s")->flush();
  target("base")->write(0, stamped(0, 8, 2));
  EXPECT_EQ(devices_["/cow"]->content(), before);
}

// A header that names chunks of 1 GiB, on a device that could have them.
TEST_F(TableLoadTest, huge_chunks_cost_no_memory) {
  add("/cow", uint64_t{1} << 40 >> kSectorShift);
  std::vector<std::byte> bytes(kHeaderBytes);
  pack_header({.chunk_sectors = 1 << 21}, bytes);
  devices_["/cow"]->write(0, bytes);

  load({kBase, snapshot("s", "/cow")});

  EXPECT_EQ(status("s"), "0 2048 snapshot 4194304/2147483648 4194304");
}

// --- All or none -------------------------------------------------------------

TEST_F(TableLoadTest, one_bad_table_keeps_all_from_loading) {
  expect_refused({kBase, snapshot("s", "/cow"), snapshot("t", "/cow2", 7)},
                 "t.yaml:4:13: Chunk size is not a power of 2", EINVAL);
}

TEST_F(TableLoadTest, a_file_made_for_a_refused_table_is_deleted) {
  Table bad = snapshot("t", "/cow2", 7);

  refused({kBase, created(snapshot("s", "/made")), bad});
  EXPECT_FALSE(opener_.exists("/made"));
  refused({kBase, created(snapshot("s", "/made", 7))});
  EXPECT_FALSE(opener_.exists("/made"));
  refused({kBase, created(snapshot("s", "/made"), 512)});
  EXPECT_FALSE(opener_.exists("/made"));
}

TEST_F(TableLoadTest, a_file_that_was_there_is_not_deleted) {
  refused({kBase, created(snapshot("s", "/cow", 7))});

  EXPECT_TRUE(opener_.exists("/cow"));
}

TEST_F(TableLoadTest, a_file_is_made_with_its_size) {
  load({kBase, created(snapshot("s", "/made"), 1 << 20)});

  EXPECT_EQ(status("s"), "0 2048 snapshot 16/2048 16");
}

TEST_F(TableLoadTest, an_error_while_writing_names_the_stores_made_before) {
  auto faulty = std::make_shared<FaultyDevice>(devices_["/cow2"]);
  faulty->inject({.ops = kAnyWrite});
  opener_.add("/cow2", faulty);

  Refused found;
  try {
    load({kBase, snapshot("s", "/cow"), snapshot("t", "/cow2")});
  } catch (const TableError& error) {
    found = {error.what(), error.error()};
  }

  EXPECT_EQ(found.error, EIO);
  EXPECT_NE(found.text.find("(stores initialised before that: /cow)"),
            std::string::npos)
      << found.text;
  EXPECT_TRUE(set_->devices().empty());
  for (const char* path : {"/origin", "/cow", "/cow2"}) {
    EXPECT_EQ(opener_.open_count(path), 0u) << path;
  }
}

TEST_F(TableLoadTest, an_origin_that_cannot_be_flushed_takes_no_snapshot) {
  auto faulty = std::make_shared<FaultyDevice>(devices_["/origin"]);
  opener_.add("/origin", faulty);
  load({kBase});
  faulty->inject({.ops = kFlush});

  EXPECT_THROW(load({created(snapshot("s", "/made"))}), TableError);

  EXPECT_FALSE(opener_.exists("/made"));
  EXPECT_EQ(set_->devices().size(), 1u);
  target("base")->write(0, stamped(0, 8, 2));  // no snapshot is left behind
}

TEST_F(TableLoadTest, taking_a_snapshot_flushes_the_origin_once) {
  auto counting = std::make_shared<CountingDevice>(devices_["/origin"]);
  opener_.add("/origin", counting);
  load({kBase});
  counting->reset_counts();

  load({snapshot("s", "/cow")});

  EXPECT_EQ(counting->counts().flushes, 1u);
}

}  // namespace
}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
#include "config/table_reader.h"

#include <gtest/gtest.h>

#include "tests/unit/config/read_one.h"

namespace snapfs {
namespace {

using namespace std::chrono_literals;
using test::read_one;
using test::read_origin;
using test::read_snapshot;
using test::snapshot_with;

constexpr char kOrigin[] = "target: snapshot-origin\ndevice: /dev/a\n";

Table origin_with(const std::string& lines) {
  return read_one(kOrigin + lines);
}

TEST(TableReader, origin_with_defaults) {
  Table table = read_one(kOrigin);
  EXPECT_EQ(table.name, "default");
  EXPECT_EQ(table.text, kOrigin);
  EXPECT_EQ(table.activate, Activate::on_freeze);
  EXPECT_FALSE(table.attributes.mode || table.attributes.uid ||
               table.attributes.gid);
  auto& origin = std::get<OriginTable>(table.target);
  EXPECT_EQ(origin.device, "/dev/a");
  EXPECT_FALSE(origin.length_sectors);
  EXPECT_FALSE(origin.read_only);
}

TEST(TableReader, snapshot_with_defaults) {
  SnapshotTable table = snapshot_with("");
  EXPECT_EQ(table.origin, "o");
  EXPECT_EQ(table.origin_path, "/base/o");
  EXPECT_EQ(table.cow.path, "/base/c");
  EXPECT_FALSE(table.cow.create || table.cow.force_initialise ||
               table.cow.accept_stale);
  EXPECT_EQ(table.store, StoreType::persistent);
  EXPECT_EQ(table.chunk_sectors, 0u);
  EXPECT_FALSE(table.chunk_given);
  EXPECT_FALSE(table.discard_zeroes_cow || table.discard_passdown_origin);
  EXPECT_FALSE(table.length_sectors);
  EXPECT_FALSE(table.read_only);
  EXPECT_EQ(table.commit_interval, 5s);
}

TEST(TableReader, snapshot_with_every_key) {
  Table table = read_one(
      "name: nightly\n"
      "target: snapshot\n"
      "origin: /dev/o\n"
      "cow: {path: c, create: yes, size: 10GiB}\n"
      "store: PO\n"
      "chunk_size: 16KiB\n"
      "features: [discard_zeroes_cow, DISCARD_PASSDOWN_ORIGIN]\n"
      "length: 1GiB\n"
      "read_only: true\n"
      "mode: 0640\n"
      "uid: 107\n"
      "gid: 108\n"
      "commit_interval: 500ms\n"
      "initialise: force\n"
      "stale: accept\n"
      "activate: manual\n");
  EXPECT_EQ(table.name, "nightly");
  EXPECT_EQ(table.attributes.mode, 0640u);
  EXPECT_EQ(table.attributes.uid, 107u);
  EXPECT_EQ(table.attributes.gid, 108u);
  EXPECT_EQ(table.activate, Activate::manual);
  auto& snapshot = std::get<SnapshotTable>(table.target);
  EXPECT_EQ(snapshot.origin, "/dev/o");
  EXPECT_EQ(snapshot.origin_path, "/dev/o");
  EXPECT_EQ(snapshot.cow.path, "/base/c");
  EXPECT_TRUE(snapshot.cow.create);
  EXPECT_EQ(snapshot.cow.create_bytes, uint64_t{10} << 30);
  EXPECT_TRUE(snapshot.cow.force_initialise);
  EXPECT_TRUE(snapshot.cow.accept_stale);
  EXPECT_EQ(snapshot.store, StoreType::persistent_overflow);
  EXPECT_EQ(snapshot.chunk_sectors, 32u);
  EXPECT_TRUE(snapshot.chunk_given);
  EXPECT_TRUE(snapshot.discard_zeroes_cow);
  EXPECT_TRUE(snapshot.discard_passdown_origin);
  EXPECT_EQ(snapshot.length_sectors, 2097152u);
  EXPECT_TRUE(snapshot.read_only);
  EXPECT_EQ(snapshot.commit_interval, 500ms);
}

TEST(TableReader, merge_with_defaults) {
  SnapshotTable table =
      read_snapshot("target: snapshot-merge\norigin: o\ncow: c\n");
  EXPECT_EQ(table.origin_path, "/base/o");
  EXPECT_EQ(table.cow.path, "/base/c");
  ASSERT_TRUE(table.merge);
  EXPECT_EQ(table.merge->rate, 0u);
  EXPECT_TRUE(table.merge->also_as.empty());
  EXPECT_FALSE(table.merge->force);
  EXPECT_FALSE(snapshot_with("").merge);
}

TEST(TableReader, merge_with_every_key_of_its_own) {
  SnapshotTable table = read_snapshot(
      "target: snapshot-merge\norigin: o\ncow: c\n"
      "merge_rate: 20MiB\nalso_as: [night, other]\nforce: yes\n");
  ASSERT_TRUE(table.merge);
  EXPECT_EQ(table.merge->rate, uint64_t{20} << 20);
  EXPECT_EQ(table.merge->also_as, (std::vector<std::string>{"night", "other"}));
  EXPECT_EQ(table.merge->also_as_place.prefix(), "f.yaml:5:10: ");
  EXPECT_TRUE(table.merge->force);
}

TEST(TableReader, a_snapshot_may_wait_for_a_merge) {
  EXPECT_TRUE(snapshot_with("wait: merge\n").wait_for_merge);
  EXPECT_FALSE(snapshot_with("").wait_for_merge);
}

TEST(TableReader, places_of_what_the_core_may_refuse) {
  Table table = read_one(
      "target: snapshot\norigin:  \"o\"\nname: n\n"
      "cow: {create: false, path: c}\nchunk_size: 8\n");
  EXPECT_EQ(table.place.prefix(), "f.yaml:3:7: ");
  auto& snapshot = std::get<SnapshotTable>(table.target);
  EXPECT_EQ(snapshot.origin_place.prefix(), "f.yaml:2:10: ");
  EXPECT_EQ(snapshot.cow_place.prefix(), "f.yaml:4:28: ");
  EXPECT_EQ(snapshot.chunk_place.prefix(), "f.yaml:5:13: ");
  EXPECT_EQ(read_origin(kOrigin).device_place.prefix(), "f.yaml:2:9: ");
}

TEST(TableReader, nothing_is_done_about_being_full_by_default) {
  SnapshotTable table = snapshot_with("");
  const WhenFull& when_full = table.space.when_full;
  EXPECT_FALSE(when_full.grow || when_full.wait || when_full.refuse_origin);
  EXPECT_EQ(table.space.thresholds, (std::vector<unsigned>{80, 95}));
}

TEST(TableReader, what_is_done_about_being_full) {
  SnapshotTable table = snapshot_with(
      "when_full:\n  grow: {step: 1GiB, max: 20GiB}\n  wait: 10min\n"
      "  refuse: origin\nthresholds: [50, 75%, 99]\n");
  const WhenFull& when_full = table.space.when_full;
  ASSERT_TRUE(when_full.grow && when_full.wait);
  EXPECT_EQ(when_full.grow->step_bytes, uint64_t{1} << 30);
  EXPECT_EQ(when_full.grow->max_bytes, uint64_t{20} << 30);
  EXPECT_EQ(*when_full.wait, 10min);
  EXPECT_TRUE(when_full.refuse_origin);
  EXPECT_EQ(table.space.thresholds, (std::vector<unsigned>{50, 75, 99}));
}

TEST(TableReader, when_full_goes_with_a_table_line) {
  SnapshotTable table = read_snapshot(
      "table: 0 8 snapshot /dev/a /dev/b P 8\nwhen_full: {wait: 30}\n"
      "thresholds: []\n");
  EXPECT_EQ(table.space.when_full.wait, 30s);
  EXPECT_TRUE(table.space.thresholds.empty());
}

TEST(TableReader, store_letters_as_the_kernel_reads_them) {
  auto store = [](const std::string& text) {
    return snapshot_with("chunk_size: 8\nstore: " + text).store;
  };
  EXPECT_EQ(store("P"), StoreType::persistent);
  EXPECT_EQ(store("p"), StoreType::persistent);
  EXPECT_EQ(store("po"), StoreType::persistent_overflow);
  EXPECT_EQ(store("POxyz"), StoreType::persistent_overflow);
  EXPECT_EQ(store("n"), StoreType::transient);
  EXPECT_EQ(store("Never"), StoreType::transient);
}

TEST(TableReader, chunk_sizes) {
  auto sectors = [](const std::string& text) {
    return snapshot_with("chunk_size: " + text).chunk_sectors;
  };
  EXPECT_EQ(sectors("1"), 1u);
  EXPECT_EQ(sectors("+16"), 16u);
  EXPECT_EQ(sectors("512B"), 1u);
  EXPECT_EQ(sectors("64K"), 128u);
  EXPECT_EQ(sectors("32s"), 32u);
  EXPECT_EQ(sectors("1GiB"), 2097152u);
}

TEST(TableReader, chunk_size_zero_leaves_it_to_the_header) {
  SnapshotTable table = snapshot_with("chunk_size: 0\n");
  EXPECT_TRUE(table.chunk_given);
  EXPECT_EQ(table.chunk_sectors, 0u);
}

TEST(TableReader, lengths_are_sectors_without_a_unit) {
  auto length = [](const std::string& text) {
    return read_origin(std::string(kOrigin) + "length: " + text)
        .length_sectors.value();
  };
  EXPECT_EQ(length("8"), 8u);
  EXPECT_EQ(length("4096B"), 8u);
  EXPECT_EQ(length("1MiB"), 2048u);
  EXPECT_EQ(length("18014398509481983"), 18014398509481983u);
}

TEST(TableReader, booleans_as_people_write_them) {
  for (const char* text : {"true", "True", "YES", "on"})
    EXPECT_TRUE(
        read_origin(std::string(kOrigin) + "read_only: " + text).read_only);
  for (const char* text : {"false", "no", "Off", "\"false\""})
    EXPECT_FALSE(
        read_origin(std::string(kOrigin) + "read_only: " + text).read_only);
}

TEST(TableReader, modes_are_octal) {
  EXPECT_EQ(origin_with("mode: 0640").attributes.mode, 0640u);
  EXPECT_EQ(origin_with("mode: 640").attributes.mode, 0640u);
  EXPECT_EQ(origin_with("mode: 0o640").attributes.mode, 0640u);
  EXPECT_EQ(origin_with("mode: 0").attributes.mode, 0u);
  EXPECT_EQ(origin_with("mode: 777").attributes.mode, 0777u);
}

TEST(TableReader, activation) {
  EXPECT_EQ(origin_with("activate: on-freeze").activate, Activate::on_freeze);
  EXPECT_EQ(origin_with("activate: now").activate, Activate::now);
  EXPECT_EQ(origin_with("activate: manual").activate, Activate::manual);
}

TEST(TableReader, device_numbers_as_dmsetup_takes_them) {
  EXPECT_EQ(read_origin("target: snapshot-origin\ndevice: 254:010\n").device,
            "/dev/block/254:10");
  SnapshotTable table = read_snapshot(
      "{target: snapshot, origin: 8:1, cow: {path: 8:2}, chunk_size: 8}");
  EXPECT_EQ(table.origin, "8:1");
  EXPECT_EQ(table.origin_path, "/dev/block/8:1");
  EXPECT_EQ(table.cow.path, "/dev/block/8:2");
}

TEST(TableReader, what_only_resembles_a_device_number_is_a_path) {
  auto device = [](const std::string& text) {
    return read_origin("target: snapshot-origin\ndevice: '" + text + "'\n")
        .device;
  };
  for (const char* text : {"8:", ":8", "8:1x", "8:1:2", "x8:1", "4294967296:0"})
    EXPECT_EQ(device(text), std::string("/base/") + text);
}

TEST(TableReader, paths_are_not_interpreted) {
  auto device = [](const std::string& text) {
    return read_origin("target: snapshot-origin\ndevice: " + text + "\n")
        .device;
  };
  EXPECT_EQ(device("../a/../b"), "/base/../a/../b");
  EXPECT_EQ(device("/a/./b/"), "/a/./b/");
  EXPECT_EQ(device("$HOME/~"), "/base/$HOME/~");
  EXPECT_EQ(device("\xc3\xa9 x"), "/base/\xc3\xa9 x");
}

TEST(TableReader, initialise_and_stale_may_stand_in_the_cow) {
  SnapshotTable table = read_snapshot(
      "target: snapshot\norigin: o\n"
      "cow: {path: c, initialise: force, stale: accept}\n");
  EXPECT_TRUE(table.cow.force_initialise);
  EXPECT_TRUE(table.cow.accept_stale);
}

TEST(TableReader, several_documents_are_several_tables) {
  const std::string text =
      "# head\n---\nname: a\ntarget: snapshot-origin\ndevice: /dev/a\n"
      "---  # second\nname: b\ntarget: snapshot\norigin: a\ncow: c\n---\n";
  std::vector<Table> tables = read_tables(text, test::kOptions);
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[0].name, "a");
  EXPECT_EQ(tables[1].name, "b");
  EXPECT_EQ(tables[1].place.prefix(), "f.yaml:7:7: ");
  EXPECT_EQ(tables[0].text,
            "# head\n---\nname: a\ntarget: snapshot-origin\ndevice: /dev/a\n");
  EXPECT_EQ(tables[1].text,
            "---  # second\nname: b\ntarget: snapshot\norigin: a\ncow: c\n");
}

TEST(TableReader, empty_documents_do_not_count) {
  const std::string text =
      "---\n# nothing\n---\n~\n---\ntarget: snapshot-origin\ndevice: d\n"
      "...\n---\n";
  Table table = read_one(text);
  EXPECT_EQ(table.name, "default");
  EXPECT_EQ(table.text, text);
}

TEST(TableReader, the_name_of_one_document_wins_over_the_default) {
  EXPECT_EQ(origin_with("name: 123\n").name, "123");
  EXPECT_EQ(origin_with("name: true\n").name, "true");
}

TEST(TableReader, line_ends_and_byte_order_mark_of_windows) {
  Table table = read_one(
      "\xef\xbb\xbftarget: snapshot-origin\r\ndevice: /dev/a\r\nname: x\r\n");
  EXPECT_EQ(table.name, "x");
  EXPECT_EQ(table.place.prefix(), "f.yaml:3:7: ");
  EXPECT_EQ(std::get<OriginTable>(table.target).device, "/dev/a");
}

TEST(TableReader, yaml_version_directive_is_ignored) {
  EXPECT_EQ(read_one(std::string("%YAML 1.2\n---\n") + kOrigin).name,
            "default");
}

TEST(TableReader, text_of_a_table_makes_the_same_table_again) {
  const std::string text =
      "\xef\xbb\xbf# head\n--- {name: a, target: snapshot-origin, device: x}\n"
      "...\n# between\n---\nname: b\ntable: |\n  # as dmsetup\n"
      "  0 8 snapshot a c P 16\n\n---\nname: c\n"
      "table: >-\n  0 8 snapshot a c\n  PO 8\n";
  std::vector<Table> tables = read_tables(text, test::kOptions);
  ASSERT_EQ(tables.size(), 3u);
  for (const Table& table : tables) {
    Table again = read_one(table.text);
    EXPECT_EQ(again.name, table.name);
    EXPECT_EQ(again.text, table.text);
    EXPECT_EQ(again.target.index(), table.target.index());
  }
  auto& b = std::get<SnapshotTable>(tables[1].target);
  EXPECT_EQ(b.chunk_sectors, 16u);
  auto c = std::get<SnapshotTable>(read_one(tables[2].text).target);
  EXPECT_EQ(c.store, StoreType::persistent_overflow);
}

}  // namespace
}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What is refused, where, and in which words.
#include <gtest/gtest.h>

#include "tests/unit/config/read_one.h"

namespace snapfs {
namespace {

struct BadTable {
  const char* text;
  const char* error;  // without "f.yaml:"
};

void PrintTo(const BadTable& bad, std::ostream* out) {
  *out << testing::PrintToString(bad.text);
}

class BadTables : public testing::TestWithParam<BadTable> {};

TEST_P(BadTables, is_refused_at_its_place_in_these_words) {
  EXPECT_EQ(test::error_of(GetParam().text),
            std::string("f.yaml:") + GetParam().error);
}

constexpr BadTable kShapes[] = {
    {"", "1:1: there is no table in this text"},
    {"# nothing\n", "1:1: there is no table in this text"},
    {"---\n---\n", "1:1: there is no table in this text"},
    {"~", "1:1: there is no table in this text"},
    {"base", "1:1: a table must be a map of keys to values"},
    {"\n- a\n", "2:1: a table must be a map of keys to values"},
    {"{}",
     "1:1: \"target\" is missing: snapshot-origin, snapshot, snapshot-merge "
     "or snapshot-salvage"},
    {"? [a]\n: b\n", "1:3: a key must be a single word"},
    {"~: b\n", "1:1: a key must be a single word"},
    {"[a]: b\n", "1:1: a key must be a single word"},
    {"device: d\n\ndevice: e\n", "3:1: \"device\" is given twice"},
    {"chunksize: 8\n",
     "1:1: unknown key \"chunksize\"; the nearest known key is \"chunk_size\""},
    {"target: snapshot\nOrigin: a\n",
     "2:1: unknown key \"Origin\"; the nearest known key is \"origin\""},
    {"{target: snapshot, <<: a}",
     "1:20: unknown key \"<<\"; the nearest known key is \"cow\""},
    {"cow: {pth: c}\ntarget: snapshot\norigin: o\n",
     "1:7: unknown key \"cow.pth\"; the nearest known key is \"cow.path\""},
};

constexpr BadTable kYaml[] = {
    {"target: snapshot\ncow: [a\n",
     "3:1: not valid YAML: end of sequence flow "
     "not found"},
    {"target: \"a\n", "1:9: not valid YAML: the quote is never closed"},
    {"target: 'it''s\n", "1:9: not valid YAML: the quote is never closed"},
    {"a: b: c\n", "1:5: not valid YAML: illegal map value"},
    {"target: snapshot\n\tcow: c\n",
     "2:1: not valid YAML: illegal tab when looking for indentation"},
    {"{target: a} {b: c}", "1:13: unexpected text after the table"},
    {"target: snapshot\n- a\n", "2:1: not valid YAML: end of map not found"},
    {"target: &x snapshot\n", "1:9: anchors and aliases are not supported"},
    {"&x {target: snapshot}\n", "1:1: anchors and aliases are not supported"},
    {"target: snapshot\ncow: *x\n",
     "2:6: not valid YAML: the referenced anchor is not defined"},
    {"target: !!str snapshot\n", "1:9: tags are not supported"},
    {"cow: !x {path: c}\n", "1:6: tags are not supported"},
    {"cow: !x [c]\n", "1:6: tags are not supported"},
};

constexpr BadTable kNames[] = {
    {"target: snapshot-origin\ndevice: d\nname: a/b\n",
     "3:7: \"a/b\" is not a device name: [A-Za-z0-9][A-Za-z0-9._+-]{0,126}, "
     "and not ending in .next or .rejected"},
    {"name: \"a\\n\"\n",
     "1:7: \"a\\x0a\" is not a device name: "
     "[A-Za-z0-9][A-Za-z0-9._+-]{0,126}, and not ending in .next or "
     ".rejected"},
    {"name:\n", "1:1: \"name\" has no value: it must be a single value"},
    {"name: ''\n", "1:7: \"name\" must be a single value, not empty"},
    {"name: a\ntarget: snapshot-origin\ndevice: d\n---\n"
     "target: snapshot-origin\ndevice: d\n",
     "5:1: \"name\" is missing: each of several tables in a file has one"},
    {"target: snapshot-origin\ndevice: d\n---\n"
     "name: a\ntarget: snapshot-origin\ndevice: d\n",
     "1:1: \"name\" is missing: each of several tables in a file has one"},
    {"---\nname: a\ntable: 0 8 snapshot-origin d\n---\n"
     "table: 0 8 snapshot-origin d\nname: a\n",
     "6:7: the name \"a\" is taken by f.yaml:2:7"},
};

constexpr BadTable kTargets[] = {
    {"device: d\n",
     "1:1: \"target\" is missing: snapshot-origin, snapshot, snapshot-merge "
     "or snapshot-salvage"},
    {"target:\n", "1:1: \"target\" has no value: it must be a single value"},
    {"target: snapshoot\n",
     "1:9: unknown target type \"snapshoot\"; the nearest known target is "
     "\"snapshot\""},
    {"target: Snapshot-Origin\n",
     "1:9: unknown target type \"Snapshot-Origin\"; the nearest known target "
     "is \"snapshot-origin\""},
    {"target: snapshot-merg\norigin: a\n",
     "1:9: unknown target type \"snapshot-merg\"; the nearest known target is "
     "\"snapshot-merge\""},
    {"target: snapshot-salvage\norigin: a\ncow: c\nstore: P\n",
     "4:1: \"store\" is not a key of target snapshot-salvage"},
    {"target: snapshot-salvage\norigin: a\ncow: c\nread_only: true\n",
     "4:1: \"read_only\" is not a key of target snapshot-salvage"},
    {"target: snapshot-salvage\norigin: a\ncow: c\nactivate: now\n",
     "4:1: \"activate\" is not a key of target snapshot-salvage"},
    {"target: snapshot-salvage\norigin: a\n",
     "1:1: \"cow\" is missing: target snapshot-salvage needs it"},
    {"target: snapshot-salvage\norigin: a\ncow: {path: c}\n",
     "3:6: \"cow\" must be a path, not a map"},
    {"target: snapshot-merge\norigin: a\n",
     "1:1: \"cow\" is missing: target snapshot-merge needs it"},
    {"target: snapshot-merge\norigin: a\ncow: c\ndevice: d\n",
     "4:1: \"device\" is not a key of target snapshot-merge"},
    {"target: snapshot-merge\norigin: a\ncow: c\nwait: merge\n",
     "4:1: \"wait\" is not a key of target snapshot-merge"},
    {"target: snapshot\norigin: a\ncow: c\nmerge_rate: 1MiB\n",
     "4:1: \"merge_rate\" is not a key of target snapshot"},
    {"target: snapshot\norigin: a\ncow: c\nalso_as: [b]\n",
     "4:1: \"also_as\" is not a key of target snapshot"},
    {"target: snapshot-origin\ndevice: d\nforce: true\n",
     "3:1: \"force\" is not a key of target snapshot-origin"},
    {"target: snapshot-origin\n",
     "1:1: \"device\" is missing: target snapshot-origin needs it"},
    {"name: a\ntarget: snapshot\ncow: c\n",
     "1:1: \"origin\" is missing: target snapshot needs it"},
    {"target: snapshot\norigin: o\n",
     "1:1: \"cow\" is missing: target snapshot needs it"},
    {"target: snapshot-origin\ndevice: d\ncow: c\n",
     "3:1: \"cow\" is not a key of target snapshot-origin"},
    {"target: snapshot-origin\ndevice: d\nwhen_full: {wait: 5}\n",
     "3:1: \"when_full\" is not a key of target snapshot-origin"},
    {"target: snapshot-origin\ndevice: d\ncommit_interval: 5s\n",
     "3:1: \"commit_interval\" is not a key of target snapshot-origin"},
    {"device: d\ntarget: snapshot\norigin: o\ncow: c\n",
     "1:1: \"device\" is not a key of target snapshot"},
};

// What follows three good lines of a snapshot.
constexpr BadTable kSnapshotValues[] = {
    {"store: [P]", "4:8: \"store\" must be a single value, not a list"},
    {"store: X",
     "4:8: Couldn't create exception store: Exception store type is not P or "
     "N"},
    {"store: PX",
     "4:8: Couldn't create exception store: Unsupported persistent store "
     "option: X"},
    {"store: persistent",
     "4:8: Couldn't create exception store: Unsupported persistent store "
     "option: ersistent"},
    {"store: N", "4:8: Chunk size not set"},
    {"store: N\nchunk_size: 0", "5:13: Chunk size not set"},
    {"chunk_size: 7",
     "4:13: Couldn't create exception store: Chunk size is not a power of 2"},
    {"chunk_size: 6KiB",
     "4:13: Couldn't create exception store: Chunk size is not a power of 2"},
    {"chunk_size: 4194304",
     "4:13: Couldn't create exception store: Chunk size is too high"},
    {"chunk_size: 2GiB",
     "4:13: Couldn't create exception store: Chunk size is too high"},
    {"chunk_size: 9999999999999EiB",
     "4:13: Couldn't create exception store: Chunk size is too high"},
    {"chunk_size: 100B",
     "4:13: Couldn't create exception store: Invalid chunk size"},
    {"chunk_size: -8",
     "4:13: Couldn't create exception store: Invalid chunk size"},
    {"chunk_size: 8x",
     "4:13: Couldn't create exception store: Invalid chunk size"},
    {"chunk_size: 4294967296",
     "4:13: Couldn't create exception store: Invalid chunk size"},
    {"chunk_size: {a: b}",
     "4:13: \"chunk_size\" must be a single value, not a map"},
    {"features: discard_zeroes_cow",
     "4:11: \"features\" must be a list, not \"discard_zeroes_cow\""},
    {"features: [discard_zeroes_cow, [a]]",
     "4:32: \"features\" must be a list of single values"},
    {"features: [discard_zeroes_cow, bogus]",
     "4:32: Unrecognised feature requested: \"bogus\""},
    {"features: [discard_passdown_origin]",
     "4:11: discard_passdown_origin feature depends on discard_zeroes_cow"},
    {"features: [discard_zeroes_cow, discard_zeroes_cow, discard_zeroes_cow]",
     "4:11: Invalid number of feature arguments"},
    {"length: 0", "4:9: \"length\" must not be zero"},
    {"length: 18014398509481984", "4:9: \"length\" is too large"},
    {"length: 8EiB", "4:9: \"length\" is too large"},
    {"length: 1000B", "4:9: \"length\" must be a multiple of 512 bytes"},
    {"length: 10 apples",
     "4:9: \"length\" must be a number of sectors or a size such as 10GiB, "
     "not \"10 apples\""},
    {"read_only: maybe",
     "4:12: \"read_only\" must be true or false, not \"maybe\""},
    {"read_only:", "4:1: \"read_only\" has no value: it must be true or false"},
    {"mode: 0888",
     "4:7: \"mode\" must be octal permission bits such as 0640, not \"0888\""},
    {"mode: 04755",
     "4:7: \"mode\" must be octal permission bits such as 0640, not "
     "\"04755\""},
    {"mode: 0o",
     "4:7: \"mode\" must be octal permission bits such as 0640, not \"0o\""},
    {"mode: 77777777777777777777777",
     "4:7: \"mode\" must be octal permission bits such as 0640, not "
     "\"77777777777777777777777\""},
    {"uid: root",
     "4:6: \"uid\" must be the number of a user or group, not \"root\""},
    {"gid: 4294967295",
     "4:6: \"gid\" must be the number of a user or group, not "
     "\"4294967295\""},
    {"commit_interval: 0",
     "4:18: \"commit_interval\" must be a time from 1ms to 1h such as 5s, not "
     "\"0\""},
    {"commit_interval: 61min",
     "4:18: \"commit_interval\" must be a time from 1ms to 1h such as 5s, not "
     "\"61min\""},
    {"commit_interval: 5 days",
     "4:18: \"commit_interval\" must be a time from 1ms to 1h such as 5s, not "
     "\"5 days\""},
    {"when_full: wait",
     "4:12: \"when_full\" must be a map of \"grow\", \"wait\" and "
     "\"refuse\", not \"wait\""},
    {"when_full: {}", "4:12: \"when_full\" says nothing; leave it out"},
    {"when_full: {wat: 5}",
     "4:13: unknown key \"when_full.wat\"; the nearest known key is "
     "\"when_full.wait\""},
    {"when_full: {wait: 0}",
     "4:19: \"when_full.wait\" must be a time from 1ms to 30 days such as "
     "10min, not \"0\""},
    {"when_full: {refuse: snapshot}",
     "4:21: \"when_full.refuse\" must be origin, not \"snapshot\""},
    {"when_full: {grow: 1GiB}",
     "4:19: \"when_full.grow\" must be a map of \"step\" and \"max\", not "
     "\"1GiB\""},
    {"when_full: {grow: {step: 1GiB}}",
     "4:19: \"when_full.grow.max\" is missing"},
    {"when_full: {grow: {step: 4, max: 1GiB}}",
     "4:26: \"when_full.grow.step\" must be a size with a unit such as 10GiB, "
     "not \"4\""},
    {"thresholds: 80",
     "4:13: \"thresholds\" must be a list of percentages, "
     "not \"80\""},
    {"thresholds: [80, 100]",
     "4:18: \"thresholds\" must be a number from 1 to 99, perhaps with %, not "
     "\"100\""},
    {"thresholds: [80, 80]", "4:18: \"thresholds\" must be ascending"},
    {"initialise: true", "4:13: \"initialise\" must be force, not \"true\""},
    {"stale: \"\"", "4:8: \"stale\" must be accept, not empty"},
    {"activate: later",
     "4:11: \"activate\" must be on-freeze, now or manual, not \"later\""},
};

// In place of a good line `cow:`.
constexpr BadTable kCows[] = {
    {"cow:",
     "3:1: \"cow\" has no value: it must be a path, or a map with a path"},
    {"cow: [a]",
     "3:6: \"cow\" must be a path, or a map with a path, not a "
     "list"},
    {"cow: ''", "3:6: \"cow\" must be a single value, not empty"},
    {"cow: \"a\\0b\"",
     "3:6: \"cow\" must be one line without control characters, not "
     "\"a\\x00b\""},
    {"cow: |\n  a\n",
     "3:6: \"cow\" must be one line without control characters, not "
     "\"a\\x0a\""},
    {"cow: {}", "3:6: \"cow.path\" is missing"},
    {"cow: {path: [c]}",
     "3:13: \"cow.path\" must be a single value, not a list"},
    {"cow: {path: c, path: d}", "3:16: \"cow.path\" is given twice"},
    {"cow: {path: c, create: true}",
     "3:24: \"cow.size\" is missing: \"cow.create\" needs it"},
    {"cow: {path: c, size: 1GiB}",
     "3:16: \"cow.size\" means nothing without \"cow.create\""},
    {"cow: {path: c, create: false, size: 1GiB}",
     "3:31: \"cow.size\" means nothing without \"cow.create\""},
    {"cow: {path: c, create: true, size: 1073741824}",
     "3:36: \"cow.size\" must be a size with a unit such as 10GiB, not "
     "\"1073741824\""},
    {"cow: {path: c, create: true, size: 0B}",
     "3:36: \"cow.size\" must not be zero"},
    {"cow: {path: c, create: true, size: 513B}",
     "3:36: \"cow.size\" must be a multiple of 512 bytes"},
    {"cow: {path: c, create: true, size: 16EiB}",
     "3:36: \"cow.size\" is too large"},
    {"cow: {path: c, stale: accept}\nstale: accept",
     "4:1: \"stale\" is given twice"},
    {"cow: {path: c, initialise: force}\ninitialise: force",
     "4:1: \"initialise\" is given twice"},
};

// After `table: `.
constexpr BadTable kLines[] = {
    {"", "1:1: \"table\" has no value: it must be a table line"},
    {"[a]", "1:8: \"table\" must be a table line, not a list"},
    {"''", "1:8: \"table\" must be a line START LENGTH TARGET ARGUMENTS"},
    {"0 8", "1:8: \"table\" must be a line START LENGTH TARGET ARGUMENTS"},
    {"'# 0 8 snapshot-origin a'",
     "1:8: \"table\" must be a line START LENGTH TARGET ARGUMENTS"},
    {"|\n  0 8 snapshot-origin a\n  8 8 snapshot-origin b\n",
     "1:8: \"table\" must be one line: a device has one target"},
    {"\"0 8 snapshot-origin a\\eb\"", "1:8: \"table\" has a control character"},
    {"x 8 snapshot-origin a",
     "1:8: \"table\": the start must be a number of sectors, not \"x\""},
    {"8 8 snapshot-origin a",
     "1:8: \"table\": the target must start at sector 0"},
    {"0 8K snapshot-origin a",
     "1:10: \"table\": the length must be a number of sectors, not \"8K\""},
    {"0 -8 snapshot-origin a",
     "1:10: \"table\": the length must be a number of sectors, not \"-8\""},
    {"0 0 snapshot-origin a", "1:10: zero-length target"},
    {"0 18014398509481984 snapshot-origin a",
     "1:10: \"table\": the length is too large"},
    {"0 8 linear /dev/a 0",
     "1:12: unknown target type \"linear\"; the nearest known target is "
     "\"snapshot\""},
    {"0 8 snapshot-salvage a c P 8",
     "1:12: dmsetup has no target snapshot-salvage: write \"target\", "
     "\"origin\" and \"cow\""},
    {"0 8 snapshot-merge a c P", "1:12: requires 4 or more arguments"},
    {"0 8 snapshot-origin", "1:12: origin: incorrect number of arguments"},
    {"0 8 snapshot-origin a b", "1:30: origin: incorrect number of arguments"},
    {"0 8 snapshot a c P", "1:12: requires 4 or more arguments"},
    {"0 8 snapshot", "1:12: requires 4 or more arguments"},
    {"0 8 snapshot a c P 7",
     "1:27: Couldn't create exception store: Chunk size is not a power of 2"},
    {"0 8 snapshot a c P 3145728",
     "1:27: Couldn't create exception store: Chunk size is not a power of 2"},
    {"0 8 snapshot a c P 4194304",
     "1:27: Couldn't create exception store: Chunk size is too high"},
    {"0 8 snapshot a c P 16KiB",
     "1:27: Couldn't create exception store: Invalid chunk size"},
    {"0 8 snapshot a c P 4294967296",
     "1:27: Couldn't create exception store: Invalid chunk size"},
    {"0 8 snapshot a c P -8",
     "1:27: Couldn't create exception store: Invalid chunk size"},
    {"0 8 snapshot a c X 8",
     "1:25: Couldn't create exception store: Exception store type is not P or "
     "N"},
    {"0 8 snapshot a c PX 8",
     "1:25: Couldn't create exception store: Unsupported persistent store "
     "option: X"},
    {"0 8 snapshot a c persistent 8",
     "1:25: Couldn't create exception store: Unsupported persistent store "
     "option: ersistent"},
    {"0 8 snapshot a c N 0", "1:27: Chunk size not set"},
    {"0 8 snapshot a c P 8 x", "1:29: Invalid number of feature arguments"},
    {"0 8 snapshot a c P 8 3 a b c",
     "1:29: Invalid number of feature arguments"},
    {"0 8 snapshot a c P 8 1", "1:29: Invalid number of feature arguments"},
    {"0 8 snapshot a c P 8 1 bogus",
     "1:31: Unrecognised feature requested: \"bogus\""},
    {"0 8 snapshot a c P 8 1 discard_passdown_origin",
     "1:31: discard_passdown_origin feature depends on discard_zeroes_cow"},
    // In the kernel's order: features, store letter, chunk, store option.
    {"0 8 snapshot a c X 7 1 bogus",
     "1:31: Unrecognised feature requested: \"bogus\""},
    {"0 8 snapshot a c X 7",
     "1:25: Couldn't create exception store: Exception store type is not P or "
     "N"},
    {"0 8 snapshot a c PX 7",
     "1:28: Couldn't create exception store: Chunk size is not a power of 2"},
    {"0 8 snapshot a c P 8\ncow: c",
     "2:1: \"cow\" cannot be given beside \"table\", which says everything "
     "about the target"},
    {"0 8 snapshot a c P 8\nlength: 8",
     "2:1: \"length\" cannot be given beside \"table\", which says everything "
     "about the target"},
    {"0 8 snapshot-origin a\nstale: accept",
     "2:1: \"stale\" is not a key of target snapshot-origin"},
};

// What follows three good lines of a merge named "default".
constexpr BadTable kMergeValues[] = {
    {"merge_rate: 20",
     "4:13: \"merge_rate\" must be a size with a unit such as 10GiB, not "
     "\"20\""},
    {"merge_rate: 0B", "4:13: \"merge_rate\" must not be zero"},
    {"also_as: night", "4:10: \"also_as\" must be a list, not \"night\""},
    {"also_as: [a/b]",
     "4:11: \"a/b\" is not a device name: [A-Za-z0-9][A-Za-z0-9._+-]{0,126}, "
     "and not ending in .next or .rejected"},
    {"also_as: [a, b, a]", "4:17: \"a\" is given twice"},
    {"also_as: [default]", "4:10: \"default\" is the device's own name"},
    {"force: please", "4:8: \"force\" must be true or false, not \"please\""},
};

constexpr BadTable kOriginValues[] = {
    {"device:", "2:1: \"device\" has no value: it must be a single value"},
    {"device: \"\"", "2:9: \"device\" must be a single value, not empty"},
    {"device: [a]", "2:9: \"device\" must be a single value, not a list"},
    {"device: \"a\\nb\"",
     "2:9: \"device\" must be one line without control characters, not "
     "\"a\\x0ab\""},
};

INSTANTIATE_TEST_SUITE_P(Shapes, BadTables, testing::ValuesIn(kShapes));
INSTANTIATE_TEST_SUITE_P(Yaml, BadTables, testing::ValuesIn(kYaml));
INSTANTIATE_TEST_SUITE_P(Names, BadTables, testing::ValuesIn(kNames));
INSTANTIATE_TEST_SUITE_P(Targets, BadTables, testing::ValuesIn(kTargets));

// The same after some good lines.
template <const char* kBefore>
class BadLines : public testing::TestWithParam<BadTable> {
 protected:
  void check() {
    EXPECT_EQ(test::error_of(std::string(kBefore) + GetParam().text + "\n"),
              std::string("f.yaml:") + GetParam().error);
  }
};

constexpr char kTable[] = "table: ";
constexpr char kOrigin[] = "target: snapshot-origin\n";
constexpr char kSnapshot[] = "target: snapshot\norigin: o\n";
constexpr char kSnapshotWithCow[] = "target: snapshot\norigin: o\ncow: c\n";
constexpr char kMerge[] = "target: snapshot-merge\norigin: o\ncow: c\n";

using BadTableLines = BadLines<kTable>;
using BadOriginValues = BadLines<kOrigin>;
using BadCows = BadLines<kSnapshot>;
using BadSnapshotValues = BadLines<kSnapshotWithCow>;
using BadMergeValues = BadLines<kMerge>;

TEST_P(BadTableLines, is_refused_in_the_words_of_the_kernel) { check(); }
TEST_P(BadOriginValues, is_refused_at_its_place_in_these_words) { check(); }
TEST_P(BadCows, is_refused_at_its_place_in_these_words) { check(); }
TEST_P(BadSnapshotValues, is_refused_at_its_place_in_these_words) { check(); }
TEST_P(BadMergeValues, is_refused_at_its_place_in_these_words) { check(); }

INSTANTIATE_TEST_SUITE_P(Lines, BadTableLines, testing::ValuesIn(kLines));
INSTANTIATE_TEST_SUITE_P(Origin, BadOriginValues,
                         testing::ValuesIn(kOriginValues));
INSTANTIATE_TEST_SUITE_P(Cows, BadCows, testing::ValuesIn(kCows));
INSTANTIATE_TEST_SUITE_P(Snapshot, BadSnapshotValues,
                         testing::ValuesIn(kSnapshotValues));

INSTANTIATE_TEST_SUITE_P(Merge, BadMergeValues,
                         testing::ValuesIn(kMergeValues));

TEST(BadTable, the_default_name_is_checked_too) {
  try {
    read_tables("\ntarget: snapshot-origin\ndevice: d\n",
                {"my vm.yaml", "/", "my vm"});
    FAIL() << "taken";
  } catch (const TableError& error) {
    EXPECT_STREQ(error.what(),
                 "my vm.yaml:2:1: \"name\" is missing, and the file's name, "
                 "\"my vm\", is not a device name: "
                 "[A-Za-z0-9][A-Za-z0-9._+-]{0,126}, and not ending in .next "
                 "or .rejected");
  }
}

int errno_of_text(const std::string& text) {
  try {
    read_tables(text, test::kOptions);
  } catch (const TableError& error) {
    return error.error();
  }
  return 0;
}

TEST(BadTable, errors_have_an_errno) {
  EXPECT_EQ(errno_of_text("target: snapshoot\n"), EINVAL);
  EXPECT_EQ(errno_of_text(std::string(kMaxTableBytes + 1, '\n')), EFBIG);
}

}  // namespace
}  // namespace snapfs

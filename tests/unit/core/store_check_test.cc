// SPDX-License-Identifier: MIT
#include "core/store_check.h"
#include "core/revert_note.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/error.h"
#include "tests/support/faulty_device.h"
#include "tests/support/plain_store.h"

namespace snapfs::test {
namespace {

using Words = std::vector<std::string>;

// "new-beyond 4112 1": kind, offset, record.
std::string in_words(const Finding& finding) {
  std::string text = name_of(finding.kind);
  text += " " + std::to_string(finding.offset);
  if (finding.slot) text += " " + std::to_string(*finding.slot);
  return text;
}

struct Outcome {
  Words findings;
  StoreCheck check;
};

Outcome check(BlockDevice& device, const CheckOptions& options = {}) {
  Outcome outcome;
  outcome.check = check_store(device, options, [&](const Finding& finding) {
    EXPECT_NE(finding.text, "");
    outcome.findings.push_back(in_words(finding));
  });
  return outcome;
}

std::string at_slot(const PlainStore& store, const char* kind, uint64_t slot) {
  return kind + (" " + std::to_string(store.layout().slot_offset(slot))) + " " +
         std::to_string(slot);
}

TEST(StoreCheck, sound_store_is_clean) {
  PlainStore store(1, 200);
  store.add_sound(70);

  const Outcome outcome = check(store.device());

  EXPECT_EQ(outcome.findings, Words{});
  EXPECT_EQ(outcome.check.errors, 0u);
  EXPECT_TRUE(outcome.check.header.is_valid);
  EXPECT_EQ(outcome.check.records.sound, 70u);
  EXPECT_EQ(outcome.check.records.old_end, 3u + 2 * 69 + 1);
  EXPECT_EQ(outcome.check.records.new_end, store.data_chunk(69) + 1);
}

TEST(StoreCheck, device_without_a_header) {
  MemoryDevice device(0, "empty");
  const Outcome outcome = check(device);
  EXPECT_EQ(outcome.findings, Words{"no-header 0"});
  EXPECT_EQ(outcome.check.errors, 1u);
}

struct HeaderCase {
  const char* name;
  DiskHeader header;
  const char* finding;
  bool has_layout;
};

class Headers : public ::testing::TestWithParam<HeaderCase> {};

TEST_P(Headers, each_field_has_its_finding) {
  PlainStore store(8, 20);
  store.put_header(GetParam().header);

  const Outcome outcome = check(store.device());

  EXPECT_EQ(outcome.findings, Words{GetParam().finding});
  EXPECT_EQ(outcome.check.errors, 1u);
  EXPECT_EQ(outcome.check.bounds.has_value(), GetParam().has_layout);
}

INSTANTIATE_TEST_SUITE_P(
    StoreCheck, Headers,
    ::testing::Values(
        HeaderCase{"magic", {0x12345678, 1, 1, 8}, "bad-magic 0", false},
        HeaderCase{"zeroes", {0, 0, 0, 0}, "bad-magic 0", false},
        HeaderCase{"version", {kMagic, 1, 2, 8}, "bad-version 8", true},
        HeaderCase{"no_chunk", {kMagic, 1, 1, 0}, "bad-chunk-size 12", false},
        HeaderCase{"odd_chunk", {kMagic, 1, 1, 12}, "bad-chunk-size 12", false},
        HeaderCase{"large_chunk",
                   {kMagic, 1, 1, 1u << 22},
                   "bad-chunk-size 12",
                   false},
        HeaderCase{"valid", {kMagic, 5, 1, 8}, "bad-valid 4", true},
        HeaderCase{"invalid", {kMagic, 0, 1, 8}, "marked-invalid 4", true}),
    [](const auto& one) { return one.param.name; });

TEST(StoreCheck, given_chunk_size_makes_up_for_a_lost_header) {
  PlainStore store(8, 20);
  store.add_sound(3);
  store.put_header({0, 0, 0, 0});
  CheckOptions options;
  options.chunk_sectors = 8;

  const Outcome outcome = check(store.device(), options);

  EXPECT_EQ(outcome.findings, Words{"bad-magic 0"});
  EXPECT_EQ(outcome.check.records.sound, 3u);
  EXPECT_FALSE(outcome.check.header.is_valid);
}

TEST(StoreCheck, something_behind_the_header_is_no_error) {
  PlainStore store(8, 20);
  store.device().write(16, std::vector<std::byte>(1, std::byte{1}));

  const Outcome outcome = check(store.device());

  EXPECT_EQ(outcome.findings, Words{"header-rest 16"});
  EXPECT_EQ(outcome.check.errors, 0u);
}

TEST(StoreCheck, a_revert_that_has_not_ended_is_no_error) {
  PlainStore store(8, 20);
  std::vector<std::byte> sector(kSectorBytes);
  store.device().read(0, sector);
  pack_revert_note({9, 160, 3}, sector);
  store.device().write(0, sector);

  const Outcome outcome = check(store.device());

  EXPECT_EQ(outcome.findings, Words{"revert-note 16"});
  EXPECT_EQ(outcome.check.errors, 0u);
}

struct RecordCase {
  const char* name;
  DiskRecord record;  // the one behind three sound ones
  const char* finding;
};

// Chunks of 8 sectors, 300 of them, and an origin of 100: areas are chunks 1
// and 258.
class Records : public ::testing::TestWithParam<RecordCase> {};

TEST_P(Records, each_fault_has_its_finding) {
  PlainStore store(8, 300);
  store.add_sound(3);
  store.add(GetParam().record);
  store.add({50, 60});
  CheckOptions options;
  options.origin_bytes = 100 * 4096;

  const Outcome outcome = check(store.device(), options);

  EXPECT_EQ(outcome.findings, Words{at_slot(store, GetParam().finding, 3)});
  EXPECT_EQ(outcome.check.errors, 1u);
  EXPECT_EQ(outcome.check.records.sound, 4u);
}

INSTANTIATE_TEST_SUITE_P(
    StoreCheck, Records,
    ::testing::Values(
        RecordCase{"old_beyond", {100, 9}, "old-beyond"},
        RecordCase{"old_absurd", {~uint64_t{0}, 9}, "old-beyond"},
        RecordCase{"new_beyond", {20, 300}, "new-beyond"},
        RecordCase{"new_absurd", {20, uint64_t{1} << 56 | 7}, "new-beyond"},
        RecordCase{"area_0", {20, 1}, "new-metadata"},
        RecordCase{"area_1", {20, 258}, "new-metadata"},
        RecordCase{"old_twice", {5, 9}, "old-twice"},
        RecordCase{"new_twice", {20, 3}, "new-twice"}),
    [](const auto& one) { return one.param.name; });

TEST(StoreCheck, last_part_of_an_origin_is_a_chunk) {
  PlainStore store(8, 300);
  store.add({100, 2});
  CheckOptions options;
  options.origin_bytes = 100 * 4096 + 512;
  EXPECT_EQ(check(store.device(), options).findings, Words{});
}

TEST(StoreCheck, without_an_origin_any_possible_chunk_will_do) {
  PlainStore store(8, 300);
  store.add({uint64_t{1} << 50, 2});
  store.add({uint64_t{1} << 51, 3});
  EXPECT_EQ(check(store.device()).findings,
            Words{at_slot(store, "old-beyond", 1)});
}

TEST(StoreCheck, chunks_that_do_not_ascend_are_no_error) {
  PlainStore store(8, 300);
  store.add({50, 60});
  store.add({7, 20});
  store.add({8, 40});
  EXPECT_EQ(check(store.device()).findings, Words{});
}

TEST(StoreCheck, device_that_was_cut_off_shows_in_every_record) {
  PlainStore store(8, 300);
  store.add_sound(5);
  store.device().set_size(4 * 4096 + 512);

  const Outcome outcome = check(store.device());

  EXPECT_EQ(outcome.findings, (Words{at_slot(store, "new-beyond", 2),
                                     at_slot(store, "new-beyond", 3),
                                     at_slot(store, "new-beyond", 4)}));
}

TEST(StoreCheck, log_without_an_end) {
  PlainStore store(1, 34);
  store.add_sound(32);
  const Outcome outcome = check(store.device());
  EXPECT_EQ(outcome.findings, Words{"no-end 17408"});
  EXPECT_EQ(outcome.check.records.sound, 32u);
}

TEST(StoreCheck, device_that_fails) {
  PlainStore store(1, 200);
  store.add_sound(40);
  FaultyDevice faulty(store.shared());
  faulty.inject({.ops = kAnyOp,
                 .range = ByteRange{34 * 512, 512},
                 .skip = 0,
                 .error = EIO,
                 .for_ever = true});
  EXPECT_EQ(check(faulty).findings, Words{"unreadable 17408"});
}

TEST(StoreCheck, dead_records_are_no_error) {
  PlainStore store(8, 300);
  store.add_sound(3);
  store.put(7, {3, 2});

  const Outcome outcome = check(store.device());

  EXPECT_EQ(
      outcome.findings,
      Words{"behind-end " + std::to_string(store.layout().slot_offset(3))});
  EXPECT_EQ(outcome.check.errors, 0u);
}

// What is left out for its old chunk does not make another's new chunk wrong.
TEST(StoreCheck, record_that_is_wrong_claims_no_chunk) {
  PlainStore store(8, 300);
  store.add({50, 60});
  store.add({50, 20});  // again
  store.add({8, 20});

  const Outcome outcome = check(store.device());

  EXPECT_EQ(outcome.findings, Words{at_slot(store, "old-twice", 1)});
  EXPECT_TRUE(outcome.check.records.is_repeated(1));
  EXPECT_FALSE(outcome.check.records.is_repeated(2));
}

// The same findings, in whatever number of passes.
TEST(StoreCheck, little_memory_makes_no_difference) {
  PlainStore store(1, 4000);
  std::mt19937_64 random(5);
  for (int i = 0; i < 2000; ++i) {
    const uint64_t new_chunk =
        store.layout().skip_metadata(2 + random() % 3900);
    store.add({random() % 3000, new_chunk});
  }
  CheckOptions options;

  const Outcome much = check(store.device(), options);
  options.memory_bytes = 1024;
  const Outcome little = check(store.device(), options);

  EXPECT_GT(much.check.records.repeated.size(), 500u);
  EXPECT_EQ(little.findings, much.findings);
  EXPECT_EQ(little.check.records.repeated, much.check.records.repeated);
  EXPECT_EQ(little.check.records.sound + little.check.errors, 2000u);
}

TEST(StoreCheck, one_chunk_again_and_again_takes_little_memory) {
  PlainStore store(1, 40000);
  for (int i = 0; i < 20000; ++i) store.add({7, 2});
  CheckOptions options;
  options.memory_bytes = 4096;

  const Outcome outcome = check(store.device(), options);

  EXPECT_EQ(outcome.check.errors, 19999u);
  EXPECT_EQ(outcome.check.records.sound, 1u);
}

TEST(StoreCheck, progress_can_end_it) {
  PlainStore store(8, 20);
  store.add_sound(1);
  CheckOptions options;
  options.progress = [](uint64_t) { throw std::runtime_error("enough"); };
  EXPECT_THROW(check(store.device(), options), std::runtime_error);
}

}  // namespace
}  // namespace snapfs::test

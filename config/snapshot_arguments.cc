// SPDX-License-Identifier: MIT
#include "config/snapshot_arguments.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "config/messages.h"
#include "config/units.h"
#include "core/chunk.h"

namespace snapfs {
namespace {

constexpr std::size_t kMaxFeatures = 2;

[[noreturn]] void fail_store(const Place& place, const std::string& reason) {
  fail(place, "Couldn't create exception store: " + reason);
}

char upper_case(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool matches(std::string_view text, std::string_view feature) {
  auto same = [](char a, char b) { return upper_case(a) == upper_case(b); };
  return std::equal(text.begin(), text.end(), feature.begin(), feature.end(),
                    same);
}

void check_chunk(const ChunkArgument& chunk) {
  if (!chunk.sectors) fail_store(chunk.place, "Invalid chunk size");
  if (*chunk.sectors == 0) return;
  if (!std::has_single_bit(*chunk.sectors))
    fail_store(chunk.place, "Chunk size is not a power of 2");
  if (!ChunkSize::is_valid(*chunk.sectors))
    fail_store(chunk.place, "Chunk size is too high");
}

// `option` is what stands after the P: nothing, or O and anything.
StoreType persistent_type(const Word& store) {
  std::string option = store.text.substr(1);
  if (option.empty()) return StoreType::persistent;
  if (upper_case(option[0]) == 'O') return StoreType::persistent_overflow;
  std::string shown = quote(option);  // on one line, whatever it holds
  fail_store(store.place, "Unsupported persistent store option: " +
                              shown.substr(1, shown.size() - 2));
}

}  // namespace

ChunkArgument chunk_from_line(const Word& word) {
  std::string_view digits = word.text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  std::optional<uint64_t> sectors = parse_number(digits);
  if (sectors > std::numeric_limits<uint32_t>::max()) sectors.reset();
  return {sectors, word.place};
}

ChunkArgument chunk_from_key(const Word& word) {
  std::optional<Size> size = parse_size(word.text);
  if (!size || !size->has_unit) return chunk_from_line(word);
  if (size->number % kSectorBytes == 0)
    return {size->number / kSectorBytes, word.place};
  // Saturated, that is too high in any case; or less than a sector.
  constexpr uint64_t kSaturated = std::numeric_limits<uint64_t>::max();
  if (size->number == kSaturated) return {kMaxChunkSectors * 2, word.place};
  return {std::nullopt, word.place};
}

void set_features(SnapshotTable& table, const std::vector<Word>& features,
                  const Place& place) {
  if (features.size() > kMaxFeatures)
    fail(place, "Invalid number of feature arguments");
  for (const Word& feature : features) {
    if (matches(feature.text, "discard_zeroes_cow"))
      table.discard_zeroes_cow = true;
    else if (matches(feature.text, "discard_passdown_origin"))
      table.discard_passdown_origin = true;
    else
      fail(feature.place,
           "Unrecognised feature requested: " + quote(feature.text));
  }
  if (table.discard_passdown_origin && !table.discard_zeroes_cow)
    fail(place,
         "discard_passdown_origin feature depends on discard_zeroes_cow");
}

void set_store(SnapshotTable& table, const Word& store,
               const std::optional<ChunkArgument>& chunk) {
  char letter = store.text.empty() ? '\0' : upper_case(store.text[0]);
  if (letter != 'P' && letter != 'N')
    fail_store(store.place, "Exception store type is not P or N");
  if (chunk) check_chunk(*chunk);
  table.store = letter == 'N' ? StoreType::transient : persistent_type(store);
  table.chunk_given = chunk.has_value();
  table.chunk_sectors = chunk ? *chunk->sectors : 0;
  table.chunk_place = chunk ? chunk->place : store.place;
  // A transient store has no header that could name it.
  if (table.store == StoreType::transient && table.chunk_sectors == 0)
    fail(table.chunk_place, "Chunk size not set");
}

}  // namespace snapfs

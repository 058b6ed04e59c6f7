// SPDX-License-Identifier: MIT
//
// The rules for the arguments of a snapshot target, in the kernel's order and
// with the kernel's words, however the table is written. Where the kernel says
// only "Couldn't create exception store", its inner reason follows. Stateless.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/table.h"

namespace snapfs {

struct Word {
  std::string text;
  Place place;
};

struct ChunkArgument {
  std::optional<uint64_t> sectors;  // nothing: what was written is no number
  Place place;
};

// As dmsetup takes it: sectors, decimal, at most UINT_MAX, perhaps with a plus.
ChunkArgument chunk_from_line(const Word& word);

// As the key `chunk_size` takes it: the same, or with a unit.
ChunkArgument chunk_from_key(const Word& word);

// Sets the table's features. Throws TableError.
void set_features(SnapshotTable& table, const std::vector<Word>& features,
                  const Place& place);

// Sets the table's store and chunk size. Throws TableError. A chunk size of
// zero, or none at all, leaves it to the header of the store. What depends on
// the devices (their block sizes) is for the core to check.
void set_store(SnapshotTable& table, const Word& store,
               const std::optional<ChunkArgument>& chunk);

}  // namespace snapfs

// SPDX-License-Identifier: MIT
//
// What is on the devices for sure at some place of the journal, and what may be
// there or not. A device takes writes into a cache that it may write back in
// any order, sector by sector: after a cut, a sector holds what was settled, or
// any of the writes that came to it since. A flush settles the writes that had
// been answered before it began, when it is answered; a durable write settles
// itself. So reordering, lost writes and torn writes are all one thing here: a
// choice of one version for each sector.
//
// A length that a file was extended to is a version, too; writes behind the
// length that survives are lost with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "tests/powercut/journal.h"

namespace snapfs::test {

using Disk = std::vector<std::byte>;
// Of all devices of a world.
using Disks = std::vector<Disk>;

class Medium {
 public:
  explicit Medium(Disks disks);

  // The journal's entries in their order; notes change nothing. Keeps pointers
  // into them.
  void apply(const JournalEntry& entry);

  struct Version {
    uint64_t op = 0;
    const std::byte* bytes = nullptr;  // of a length: null
    uint64_t size = 0;                 // of a length
    uint64_t hash = 0;
  };
  // What is not settled: one sector of a device, or its length.
  struct Unit {
    uint32_t device = 0;
    uint64_t sector = 0;  // kLength: the length
    std::vector<Version> versions;
  };
  static constexpr uint64_t kLength = UINT64_MAX;

  // Lengths come behind the sectors of their devices.
  std::vector<Unit> units() const;

  // choice[i] of units()[i]: 0 is what is settled, n is version n - 1.
  using Choice = std::vector<uint32_t>;

  // The same content has the same hash, at whatever place of whatever journal.
  uint64_t hash(const std::vector<Unit>& units, const Choice& choice) const;
  Disks disks(const std::vector<Unit>& units, const Choice& choice) const;

 private:
  struct Flush {
    uint32_t device = 0;
    std::set<uint64_t> covered;
  };
  using Key = std::pair<uint32_t, uint64_t>;  // device, sector

  void add_sectors(const JournalEntry& entry);
  void settle(const Key& key, std::size_t last);
  std::vector<uint64_t> chosen_sizes(const std::vector<Unit>& units,
                                     const Choice& choice) const;
  uint64_t settled_hash(const Key& key) const;

  Disks settled_;
  uint64_t settled_hash_ = 0;
  std::map<Key, std::vector<Version>> open_;
  std::set<uint64_t> answered_;  // writes that are open and were answered
  std::map<uint64_t, Flush> flushes_;
  // Durable writes that were not answered yet.
  std::map<uint64_t, const JournalEntry*> durable_;
};

}  // namespace snapfs::test

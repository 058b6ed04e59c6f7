// SPDX-License-Identifier: MIT
#include "tests/powercut/medium.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "core/chunk.h"

namespace snapfs::test {
namespace {

uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 29);
}

// Of one sector in its place. Zeroes are nothing, so that a device of zeroes is
// no different from a shorter one but for its length.
uint64_t hash_of(uint32_t device, uint64_t sector, const std::byte* bytes) {
  uint64_t hash = mix(mix(0x243f6a8885a308d3, device), sector);
  uint64_t any = 0;
  for (uint64_t at = 0; at < kSectorBytes; at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + at, sizeof(word));
    any |= word;
    hash = mix(hash, word);
  }
  return any == 0 ? 0 : mix(hash, hash >> 31);
}

uint64_t hash_of_length(uint32_t device, uint64_t bytes) {
  return mix(mix(mix(0x13198a2e03707344, device), bytes), bytes >> 9);
}

}  // namespace

Medium::Medium(Disks disks) : settled_(std::move(disks)) {
  for (uint32_t device = 0; device < settled_.size(); ++device) {
    const Disk& disk = settled_[device];
    for (uint64_t at = 0; at < disk.size(); at += kSectorBytes) {
      settled_hash_ ^= hash_of(device, at / kSectorBytes, &disk[at]);
    }
    settled_hash_ ^= hash_of_length(device, disk.size());
  }
}

void Medium::apply(const JournalEntry& entry) {
  using Kind = JournalEntry::Kind;
  switch (entry.kind) {
    case Kind::note:
      return;
    case Kind::write_durable:
      durable_[entry.op] = &entry;
      return add_sectors(entry);
    case Kind::write:
      return add_sectors(entry);
    case Kind::grow:
      open_[{entry.device, kLength}].push_back(
          {entry.op, nullptr, entry.offset,
           hash_of_length(entry.device, entry.offset)});
      return;
    case Kind::flush:
      flushes_[entry.op] = {entry.device, answered_};
      return;
    case Kind::answer:
      break;
  }
  auto flush = flushes_.find(entry.op);
  auto durable = durable_.find(entry.op);
  if (flush == flushes_.end() && durable == durable_.end()) {
    answered_.insert(entry.op);
    return;
  }
  // The length first: what is settled behind it has a place then.
  std::vector<Key> keys;
  for (auto it = open_.rbegin(); it != open_.rend(); ++it) {
    if (it->first.first == entry.device) keys.push_back(it->first);
  }
  for (const Key& key : keys) {
    const std::vector<Version>& versions = open_.at(key);
    for (std::size_t i = versions.size(); i-- > 0;) {
      const bool is_settled =
          flush != flushes_.end()
              ? flush->second.covered.contains(versions[i].op)
              : versions[i].op == entry.op;
      if (!is_settled) continue;
      settle(key, i);
      break;
    }
  }
  if (flush != flushes_.end()) flushes_.erase(flush);
  if (durable != durable_.end()) durable_.erase(durable);
}

void Medium::add_sectors(const JournalEntry& entry) {
  assert(entry.offset % kSectorBytes == 0);
  assert(entry.bytes.size() % kSectorBytes == 0);
  for (uint64_t at = 0; at < entry.bytes.size(); at += kSectorBytes) {
    const uint64_t sector = (entry.offset + at) / kSectorBytes;
    const std::byte* bytes = &entry.bytes[at];
    open_[{entry.device, sector}].push_back(
        {entry.op, bytes, 0, hash_of(entry.device, sector, bytes)});
  }
}

// Version `last` is there for sure, and nothing older.
void Medium::settle(const Key& key, std::size_t last) {
  std::vector<Version>& versions = open_.at(key);
  const Version& version = versions[last];
  Disk& disk = settled_[key.first];
  settled_hash_ ^= settled_hash(key) ^ version.hash;
  if (key.second == kLength) {
    disk.resize(version.size);
  } else {
    const uint64_t at = key.second * kSectorBytes;
    // A flush keeps the length that it needs.
    if (at + kSectorBytes > disk.size()) {
      settled_hash_ ^= hash_of_length(key.first, disk.size());
      disk.resize(at + kSectorBytes);
      settled_hash_ ^= hash_of_length(key.first, disk.size());
    }
    std::copy_n(version.bytes, kSectorBytes,
                disk.begin() + static_cast<std::ptrdiff_t>(at));
  }
  versions.erase(versions.begin(),
                 versions.begin() + static_cast<std::ptrdiff_t>(last) + 1);
  if (versions.empty()) open_.erase(key);
}

uint64_t Medium::settled_hash(const Key& key) const {
  const Disk& disk = settled_[key.first];
  if (key.second == kLength) return hash_of_length(key.first, disk.size());
  const uint64_t at = key.second * kSectorBytes;
  return at < disk.size() ? hash_of(key.first, key.second, &disk[at]) : 0;
}

std::vector<Medium::Unit> Medium::units() const {
  std::vector<Unit> units;
  units.reserve(open_.size());
  for (const auto& [key, versions] : open_) {
    units.push_back({key.first, key.second, versions});
  }
  return units;
}

std::vector<uint64_t> Medium::chosen_sizes(const std::vector<Unit>& units,
                                           const Choice& choice) const {
  std::vector<uint64_t> sizes;
  for (const Disk& disk : settled_) sizes.push_back(disk.size());
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (units[i].sector == kLength && choice[i] != 0) {
      sizes[units[i].device] = units[i].versions[choice[i] - 1].size;
    }
  }
  return sizes;
}

uint64_t Medium::hash(const std::vector<Unit>& units,
                      const Choice& choice) const {
  const std::vector<uint64_t> sizes = chosen_sizes(units, choice);
  uint64_t hash = settled_hash_;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const Unit& unit = units[i];
    if (choice[i] == 0) continue;
    if (unit.sector != kLength &&
        (unit.sector + 1) * kSectorBytes > sizes[unit.device]) {
      continue;
    }
    hash ^= settled_hash({unit.device, unit.sector}) ^
            unit.versions[choice[i] - 1].hash;
  }
  return hash;
}

Disks Medium::disks(const std::vector<Unit>& units,
                    const Choice& choice) const {
  const std::vector<uint64_t> sizes = chosen_sizes(units, choice);
  Disks disks = settled_;
  for (uint32_t device = 0; device < disks.size(); ++device) {
    disks[device].resize(sizes[device]);
  }
  for (std::size_t i = 0; i < units.size(); ++i) {
    const Unit& unit = units[i];
    const uint64_t at = unit.sector * kSectorBytes;
    if (choice[i] == 0 || unit.sector == kLength) continue;
    if (at + kSectorBytes > sizes[unit.device]) continue;
    std::copy_n(unit.versions[choice[i] - 1].bytes, kSectorBytes,
                disks[unit.device].begin() + static_cast<std::ptrdiff_t>(at));
  }
  return disks;
}

}  // namespace snapfs::test

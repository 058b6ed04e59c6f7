// SPDX-License-Identifier: MIT
//
// What devices, tables and stores do, as the manual says it: the reference that
// the model test of handovers compares with. It knows names, states and bytes,
// and neither locks nor devices. Not thread-safe.
//
// A device's state is what state_text() says; the reachable ones are
// kStates.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/block_device.h"
#include "core/table.h"
#include "tests/model/allocation_model.h"

namespace snapfs::test {

using Bytes = std::vector<std::byte>;

// With S for the name of a source and D for that of a destination.
inline const std::set<std::string> kStates = {
    "loaded\n",
    "waiting for S\n",
    "live\n",
    "live\nnext: waiting for S\n",
    "suspended\n",
    "suspended\nnext: waiting for S\n",
    "handed over to D\n",
    "removed\n",
};

// How an operation ends: 0, or an errno and a part of the text.
struct Outcome {
  int error = 0;
  std::string text;
};

// A table of a snapshot.
struct Asked {
  std::string name;
  std::string origin;
  std::string cow;
  StoreType type = StoreType::persistent;
  uint64_t chunk_sectors = 0;
  uint64_t length = 0;  // bytes
  bool read_only = false;
  bool accept_stale = false;
  Activate activate = Activate::on_freeze;
};

struct OriginModel {
  Bytes content;
  uint64_t length = 0;  // of its file, bytes
  bool suspended = false;
  uint64_t writes = 0;
};

struct CowModel {
  uint64_t sectors = 0;
  std::string owner;        // the device that has the store; empty: none
  bool has_header = false;  // of a persistent store
  std::string origin;       // of that store, as all below
  uint64_t chunk_bytes = 0;
  std::optional<AllocationModel> allocation;
  std::set<uint64_t> excepted;
  Bytes data;  // of the excepted chunks, where the origin has them
  bool invalid = false;
  bool overflowed = false;
  // When it was removed: which origin, and how often that had been written.
  std::optional<std::pair<std::string, uint64_t>> removed;
};

struct DeviceModel {
  std::optional<Asked> live;
  std::optional<Asked> next;
  std::string source;  // whose store the next one takes; empty: nobody's
  unsigned group = 0;  // next ones of one number are handed over together
  std::string handed_to;
  bool suspended = false;
  unsigned opens = 0;
};

class HandoverModel {
 public:
  std::map<std::string, OriginModel> origins;
  std::map<std::string, CowModel> cows;
  std::map<std::string, DeviceModel> devices;
  uint64_t freezes = 0;  // of snapshots and origins
  uint64_t changes = 0;  // of what answers for a device that is live

  Outcome load(std::vector<Asked> tables) {
    for (const Asked& asked : tables) {
      if (Outcome bad = check_name(asked, tables); bad.error != 0) return bad;
    }
    std::map<std::string, std::string> sources;
    for (const Asked& asked : tables) {
      const std::string source = cows.at(asked.cow).owner;
      Outcome bad = source.empty() ? check_cow(asked, tables)
                                   : check_handover(asked, source, sources);
      if (bad.error != 0) return bad;
      if (!source.empty()) sources[asked.name] = source;
    }
    const unsigned group = ++last_group_;
    for (const Asked& asked : tables) {
      const bool is_now = asked.activate == Activate::now;
      if (is_now && sources.contains(asked.name)) freeze(sources[asked.name]);
    }
    for (const Asked& asked : tables) {
      const bool waits = sources.contains(asked.name);
      if (!waits && asked.activate != Activate::manual) {
        take(asked);
        continue;
      }
      DeviceModel& device = devices[asked.name];
      const bool is_alone = asked.activate == Activate::manual;
      const bool stays = tables.size() == 1 && device.next && waits &&
                         !device.source.empty() && !is_alone;
      if (!stays) device.group = is_alone ? ++last_group_ : group;
      device.next = asked;
      device.source = waits ? sources[asked.name] : "";
    }
    hand_over_what_is_ready();
    return {};
  }

  // A new table for an origin, which is live at once, unless it would cut off
  // what a snapshot shows.
  Outcome replace_origin(const std::string& name, uint64_t length) {
    if (length < origins.at(name).length) {
      for (const auto& [snapshot, device] : devices) {
        const CowModel* cow = store_of(snapshot);
        if (cow != nullptr && !cow->invalid && device.live->origin == name &&
            device.live->length > length) {
          return {EBUSY, name + " cannot be shortened"};
        }
      }
    }
    origins.at(name).length = length;
    ++changes;
    return {};
  }

  Outcome suspend(const std::string& name) {
    if (origins.contains(name)) {
      freezes += !origins[name].suspended;
      origins[name].suspended = true;
      return {};
    }
    if (!devices.contains(name)) return {ENOENT, name};
    if (!devices[name].live) return {EINVAL, "has no live table"};
    freeze(name);
    hand_over_what_is_ready();
    return {};
  }

  Outcome resume(const std::string& name) {
    if (origins.contains(name)) {
      origins[name].suspended = false;
      return {};
    }
    if (!devices.contains(name)) return {ENOENT, name};
    DeviceModel& device = devices[name];
    if (!device.next) {
      if (device.suspended && waiting_for(name) != nullptr) {
        return {EINVAL,
                "Unable to resume snapshot source until handover completes"};
      }
      const bool was_suspended = device.suspended;
      device.suspended = false;
      CowModel* cow = store_of(name);
      if (cow == nullptr || !cow->overflowed || cow->invalid) return {};
      cow->overflowed = !AllocationModel(*cow->allocation).allocate(1);
      if (!cow->overflowed || was_suspended) return {};
      return {ENOSPC, name + " has overflowed"};
    }
    if (device.source.empty()) {
      Asked asked = *device.next;
      asked.activate = Activate::now;
      return load({asked});
    }
    for (const std::string& each : group_of(device.group)) {
      const std::string& source = devices[each].source;
      if (source != name && !devices[source].suspended) {
        return {
            EINVAL,
            "Unable to perform snapshot handover until source is suspended"};
      }
    }
    if (device.source == name) freeze(name);
    hand_over(device.group);
    return {};
  }

  Outcome clear(const std::string& name) {
    if (!devices.contains(name)) return {ENOENT, name};
    if (!devices[name].next) return {ENOENT, "has no next table"};
    cancel(devices[name].group);
    return {};
  }

  Outcome remove(const std::string& name) {
    if (!devices.contains(name)) return {ENOENT, name};
    DeviceModel& device = devices[name];
    const DeviceModel* waiting = waiting_for(name);
    if (waiting != nullptr && waiting != &device) {
      return {EBUSY, "waits for the store of " + name};
    }
    if (!device.live) {
      cancel(device.group);
      return {};
    }
    if (device.opens != 0 && device.handed_to.empty()) return {EBUSY, "open"};
    if (device.next) cancel(device.group);
    if (CowModel* cow = store_of(name)) {
      cow->owner.clear();
      cow->removed = {device.live->origin,
                      origins.at(device.live->origin).writes};
    }
    devices.erase(name);
    return {};
  }

  // Everything is closed, and the live persistent snapshots are loaded again.
  std::vector<Asked> reopen() {
    std::vector<Asked> again;
    for (auto& [name, cow] : cows) {
      cow.removed.reset();
      if (cow.owner.empty()) continue;
      Asked asked = *devices.at(cow.owner).live;
      cow.owner.clear();
      asked.activate = Activate::on_freeze;
      if (asked.type != StoreType::transient) again.push_back(asked);
    }
    devices.clear();
    for (auto& [name, origin] : origins) {
      origin.suspended = false;
      origin.length = origin.content.size();
    }
    freezes = changes = 0;
    load(again);
    return again;
  }

  // The part of a write that one chunk holds.
  ByteRange in_one_chunk(const std::string& name, ByteRange range) {
    CowModel* cow = store_of(name);
    if (cow == nullptr) return range;
    const uint64_t left = cow->chunk_bytes - range.offset % cow->chunk_bytes;
    return {range.offset, std::min(range.length, left)};
  }

  // REQUIRES: the range is in one chunk.
  int write(const std::string& name, uint64_t offset, const Bytes& data) {
    CowModel* cow = store_of(name);
    if (cow == nullptr || cow->invalid || cow->overflowed) return EIO;
    const DeviceModel& device = devices.at(name);
    if (!except(*cow, device.live->origin, {offset, data.size()})) {
      (device.live->type == StoreType::persistent_overflow ? cow->overflowed
                                                           : cow->invalid) =
          true;
      return EIO;
    }
    std::copy(data.begin(), data.end(),
              cow->data.begin() + static_cast<std::ptrdiff_t>(offset));
    return 0;
  }

  void write_origin(const std::string& name, uint64_t offset,
                    const Bytes& data) {
    OriginModel& origin = origins.at(name);
    ++origin.writes;
    for (auto& [cow_name, cow] : cows) {
      if (cow.owner.empty() || cow.invalid) continue;
      const Asked& table = *devices.at(cow.owner).live;
      if (table.origin != name) continue;
      ByteRange part = clip({offset, data.size()}, table.length);
      if (!part.empty() && !except(cow, name, part)) cow.invalid = true;
    }
    std::copy(data.begin(), data.end(),
              origin.content.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  // Nothing: EIO.
  std::optional<Bytes> content(const std::string& name) {
    CowModel* cow = store_of(name);
    if (cow == nullptr || cow->invalid) return std::nullopt;
    const Asked& table = *devices.at(name).live;
    Bytes bytes = origins.at(table.origin).content;
    for (uint64_t chunk : cow->excepted) {
      copy_chunk(cow->data, bytes, *cow, chunk);
    }
    bytes.resize(table.length);
    return bytes;
  }

  std::string state_text(const std::string& name) {
    const DeviceModel& device = devices.at(name);
    const std::string next = device.source.empty()
                                 ? "loaded\n"
                                 : "waiting for " + device.source + "\n";
    if (!device.live) return next;
    if (!device.handed_to.empty()) {
      return "handed over to " + device.handed_to + "\n";
    }
    return (device.suspended ? "suspended\n" : "live\n") +
           (device.next ? "next: " + next : "");
  }

  std::string status_line(const std::string& name) {
    const DeviceModel& device = devices.at(name);
    std::string line = "0 " +
                       std::to_string(device.live->length / kSectorBytes) +
                       " snapshot ";
    const CowModel* cow = store_of(name);
    if (cow == nullptr || cow->invalid) return line + "Invalid";
    return line + (cow->overflowed ? "Overflow" : cow->allocation->usage());
  }

  std::string table_line(const std::string& name) {
    const Asked& table = *devices.at(name).live;
    const CowModel* cow = store_of(name);
    const uint64_t chunk = cow == nullptr ? 0 : cow->chunk_bytes / kSectorBytes;
    return "0 " + std::to_string(table.length / kSectorBytes) + " snapshot " +
           "dev-" + table.origin + " " + table.cow + " " +
           to_string(table.type) + " " + std::to_string(chunk);
  }

  // Null: it has none, or has it no more.
  CowModel* store_of(const std::string& name) {
    const DeviceModel& device = devices.at(name);
    if (!device.live) return nullptr;
    CowModel& cow = cows.at(device.live->cow);
    return cow.owner == name ? &cow : nullptr;
  }

 private:
  Outcome check_name(const Asked& asked, const std::vector<Asked>& tables) {
    const auto same = [&](const Asked& other) {
      return other.name == asked.name;
    };
    if (std::count_if(tables.begin(), tables.end(), same) > 1) {
      return {EINVAL, "two tables have the name " + asked.name};
    }
    if (origins.contains(asked.name)) return {EBUSY, "snapshot-origin"};
    auto found = devices.find(asked.name);
    if (found == devices.end() || !found->second.live) return {};
    if (!found->second.handed_to.empty()) {
      return {EBUSY, "its store was handed over"};
    }
    if (found->second.live->cow != asked.cow) {
      return {EBUSY, "with another COW device"};
    }
    return {};
  }

  Outcome check_length(const Asked& asked) {
    if (asked.length <= origins.at(asked.origin).content.size()) return {};
    return {EINVAL, "exceeds"};
  }

  // Of a table that takes over the store of `source`. `others`: those that the
  // tables before it take.
  Outcome check_handover(const Asked& asked, const std::string& source,
                         const std::map<std::string, std::string>& others) {
    if (Outcome bad = check_length(asked); bad.error != 0) return bad;
    const Outcome pairing{
        EBUSY, "Snapshot cow pairing for exception table handover failed"};
    for (const auto& [name, device] : devices) {
      const bool had_it =
          !device.handed_to.empty() && device.live->cow == asked.cow;
      const bool waits =
          name != asked.name && device.next && device.source == source;
      if (had_it || waits) return pairing;
    }
    for (const auto& [name, taken] : others) {
      if (taken == source) return pairing;
    }
    const CowModel& cow = cows.at(asked.cow);
    const Asked& live = *devices.at(source).live;
    if (asked.origin != live.origin) return {EINVAL, "of another origin"};
    if (asked.chunk_sectors != 0 &&
        asked.chunk_sectors * kSectorBytes != cow.chunk_bytes) {
      return {EINVAL, "leave the chunk size out to keep them"};
    }
    if ((asked.type == StoreType::transient) !=
        (live.type == StoreType::transient)) {
      return {EINVAL, "which cannot change to"};
    }
    return {};
  }

  // Of a table whose COW nobody has.
  Outcome check_cow(const Asked& asked, const std::vector<Asked>& tables) {
    if (Outcome bad = check_length(asked); bad.error != 0) return bad;
    for (const auto& [name, device] : devices) {
      if (name != asked.name && device.next && device.source.empty() &&
          device.next->cow == asked.cow) {
        return {EBUSY, "which is loaded"};
      }
    }
    for (const Asked& other : tables) {
      if (&other == &asked) break;
      if (other.cow == asked.cow) return {EBUSY, "which is loaded with it"};
    }
    const CowModel& cow = cows.at(asked.cow);
    if (asked.type == StoreType::transient) {
      if (asked.chunk_sectors == 0) return {EINVAL, "Chunk size not set"};
      if (cow.has_header) return {EINVAL, "holds a persistent store"};
      return {};
    }
    if (cow.removed && cow.has_header && !cow.invalid && !asked.accept_stale &&
        cow.removed->first == asked.origin &&
        cow.removed->second != origins.at(asked.origin).writes) {
      return {ESTALE, "stale store"};
    }
    return {};
  }

  // A table that needs no handover goes live, in place of one that waited.
  void take(const Asked& asked) {
    const unsigned opens = devices[asked.name].opens;
    devices[asked.name] = {};
    devices[asked.name].live = asked;
    devices[asked.name].opens = opens;
    CowModel& cow = cows.at(asked.cow);
    cow.owner = asked.name;
    cow.overflowed = false;
    cow.removed.reset();
    if (cow.has_header) return;
    cow.has_header = asked.type != StoreType::transient;
    cow.origin = asked.origin;
    cow.invalid = false;
    cow.excepted.clear();
    cow.data.clear();
    const uint64_t chunk = asked.chunk_sectors == 0 ? 32 : asked.chunk_sectors;
    cow.chunk_bytes = chunk * kSectorBytes;
    cow.allocation.emplace(asked.type, chunk, cow.sectors);
  }

  void freeze(const std::string& name) {
    DeviceModel& device = devices.at(name);
    if (!device.handed_to.empty() || device.suspended) return;
    device.suspended = true;
    ++freezes;
  }

  const DeviceModel* waiting_for(const std::string& source) const {
    for (const auto& [name, device] : devices) {
      if (device.next && device.source == source) return &device;
    }
    return nullptr;
  }

  std::vector<std::string> group_of(unsigned group) const {
    std::vector<std::string> names;
    for (const auto& [name, device] : devices) {
      if (device.next && device.group == group) names.push_back(name);
    }
    return names;
  }

  void hand_over_what_is_ready() {
    std::set<unsigned> ready;
    for (const auto& [name, device] : devices) {
      if (device.next && !device.source.empty() &&
          device.next->activate != Activate::manual) {
        ready.insert(device.group);
      }
    }
    for (const auto& [name, device] : devices) {
      if (device.next && !device.source.empty() &&
          !devices.at(device.source).suspended) {
        ready.erase(device.group);
      }
    }
    for (unsigned group : ready) hand_over(group);
  }

  void hand_over(unsigned group) {
    for (const std::string& name : group_of(group)) {
      DeviceModel& target = devices.at(name);
      DeviceModel& source = devices.at(target.source);
      source.suspended = false;
      ++changes;
      if (&source != &target) source.handed_to = name;
      target.live = target.next;
      target.next.reset();
      target.source.clear();
      cows.at(target.live->cow).owner = name;
    }
  }

  void cancel(unsigned group) {
    for (const std::string& name : group_of(group)) {
      DeviceModel& device = devices.at(name);
      device.next.reset();
      device.source.clear();
      if (!device.live) devices.erase(name);
    }
  }

  static void copy_chunk(const Bytes& from, Bytes& to, const CowModel& cow,
                         uint64_t chunk) {
    const uint64_t begin = chunk * cow.chunk_bytes;
    const uint64_t end = std::min<uint64_t>(begin + cow.chunk_bytes, to.size());
    std::copy(from.begin() + static_cast<std::ptrdiff_t>(begin),
              from.begin() + static_cast<std::ptrdiff_t>(end),
              to.begin() + static_cast<std::ptrdiff_t>(begin));
  }

  // Copies the chunks that have no exception yet; false: no room for them.
  bool except(CowModel& cow, const std::string& origin_name, ByteRange range) {
    const Bytes& origin = origins.at(origin_name).content;
    std::vector<uint64_t> missing;
    for (uint64_t chunk = range.offset / cow.chunk_bytes;
         chunk <= (range.end() - 1) / cow.chunk_bytes; ++chunk) {
      if (!cow.excepted.contains(chunk)) missing.push_back(chunk);
    }
    if (!cow.allocation->allocate(missing.size())) return false;
    cow.data.resize(origin.size());
    for (uint64_t chunk : missing) {
      copy_chunk(origin, cow.data, cow, chunk);
      cow.excepted.insert(chunk);
    }
    return true;
  }

  unsigned last_group_ = 0;
};

}  // namespace snapfs::test

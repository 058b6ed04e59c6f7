// SPDX-License-Identifier: MIT
#include "core/store_check.h"

#include <algorithm>
#include <limits>
#include <random>
#include <tuple>

#include "core/error.h"
#include "core/exception_table.h"
#include "core/revert_note.h"

namespace snapfs {
namespace {

using Kind = Finding::Kind;

// Progress is told every so many records.
constexpr uint64_t kProgressStep = uint64_t{1} << 16;

std::string number(uint64_t value) { return std::to_string(value); }

// A record that has a chunk that an earlier one has.
struct Repeat {
  uint64_t slot = 0;
  uint64_t first = 0;  // slot of the earlier one
  uint64_t chunk = 0;
};

// Looks for values that come twice with a bounded number of them in memory:
// each pass takes those of one part, as a hash tells. The hash is salted, so
// that no image can be made that puts all of them into one part.
class RepeatSearch {
 public:
  using Values = std::function<void(
      const std::function<void(uint64_t slot, uint64_t value)>&)>;

  RepeatSearch(uint64_t count, std::size_t memory_bytes)
      : per_part_(std::max<uint64_t>(memory_bytes / (2 * sizeof(Entry)), 16)),
        parts_((count + per_part_ - 1) / per_part_),
        salt_(std::random_device{}()) {}

  std::vector<Repeat> run(const Values& values) {
    for (uint64_t part = 0; part < parts_; ++part) {
      seen_.clear();
      limit_ = 2 * per_part_;
      values([&](uint64_t slot, uint64_t value) {
        if (parts_ > 1 && mix(value ^ salt_) % parts_ != part) return;
        if (seen_.size() >= limit_) {
          compact();
          limit_ = std::max(limit_, seen_.size() + per_part_);
        }
        seen_.push_back({value, slot});
      });
      compact();
    }
    std::sort(repeats_.begin(), repeats_.end(),
              [](const Repeat& a, const Repeat& b) { return a.slot < b.slot; });
    return std::move(repeats_);
  }

 private:
  struct Entry {
    uint64_t value;
    uint64_t slot;
  };

  static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  // Keeps the first of each value.
  void compact() {
    std::sort(seen_.begin(), seen_.end(), [](const Entry& a, const Entry& b) {
      return std::tie(a.value, a.slot) < std::tie(b.value, b.slot);
    });
    std::size_t kept = 0;
    for (const Entry& entry : seen_) {
      if (kept == 0 || seen_[kept - 1].value != entry.value) {
        seen_[kept++] = entry;
        continue;
      }
      if (repeats_.size() == kMaxRepeated) {
        throw std::system_error(Errc::bad_metadata,
                                "more than " + number(kMaxRepeated) +
                                    " records repeat chunks of others");
      }
      repeats_.push_back({entry.slot, seen_[kept - 1].slot, entry.value});
    }
    seen_.resize(kept);
  }

  const uint64_t per_part_;
  const uint64_t parts_;
  const uint64_t salt_;
  uint64_t limit_ = 0;
  std::vector<Entry> seen_;
  std::vector<Repeat> repeats_;
};

bool contains(const std::vector<uint64_t>& slots, uint64_t slot) {
  return std::binary_search(slots.begin(), slots.end(), slot);
}

class RecordsCheck {
 public:
  RecordsCheck(const RecordPass& pass, const StoreBounds& bounds,
               const CheckOptions& options, const FindingSink& sink)
      : pass_(pass), bounds_(bounds), options_(options), sink_(sink) {}

  RecordCheck run() {
    first_pass();
    tell_end();
    find_repeats(Kind::old_twice, &DiskRecord::old_chunk, "old chunk ");
    // Ascending chunks, as everybody records them, cannot repeat.
    if (!new_ascends_) {
      find_repeats(Kind::new_twice, &DiskRecord::new_chunk, "new chunk ");
    }
    // A store that is in use may have changed between the passes.
    result_.sound =
        sound_ - std::min<uint64_t>(sound_, result_.repeated.size());
    return std::move(result_);
  }

 private:
  void first_pass() {
    result_.end = pass_([&](uint64_t slot, const DiskRecord& record) {
      tell_progress(slot);
      if (auto fault = fault_of(slot, record, bounds_)) return tell(*fault);
      ++sound_;
      if (record.new_chunk < result_.new_end) new_ascends_ = false;
      result_.new_end = std::max(result_.new_end, record.new_chunk + 1);
      result_.old_end = std::max(result_.old_end, record.old_chunk + 1);
    });
  }

  void tell_end() {
    const LogEnd& end = result_.end;
    switch (end.kind) {
      case LogEnd::Kind::found:
        if (end.behind == 0) return;
        return tell({Kind::behind_end, end.offset, std::nullopt,
                     number(end.behind) +
                         " dead records behind the end of the log, which "
                         "nobody reads"});
      case LogEnd::Kind::beyond_device:
        return tell({Kind::no_end, end.offset, std::nullopt,
                     "the log has no end: the next metadata area lies beyond "
                     "the end of the device"});
      case LogEnd::Kind::unreadable:
        return tell({Kind::unreadable, end.offset, std::nullopt,
                     "the log cannot be read on: " + end.error});
    }
  }

  // Of records that nothing else is wrong with.
  void find_repeats(Kind kind, uint64_t DiskRecord::*chunk, const char* what) {
    RepeatSearch search(sound_, options_.memory_bytes);
    const auto found = search.run([&](const auto& take) {
      pass_([&](uint64_t slot, const DiskRecord& record) {
        tell_progress(slot);
        if (fault_of(slot, record, bounds_) ||
            contains(result_.repeated, slot)) {
          return;
        }
        take(slot, record.*chunk);
      });
    });
    for (const Repeat& repeat : found) {
      tell({kind, bounds_.layout.slot_offset(repeat.slot), repeat.slot,
            what + number(repeat.chunk) + " is that of record " +
                number(repeat.first) + ", too"});
    }
    const auto old_size = static_cast<std::ptrdiff_t>(result_.repeated.size());
    for (const Repeat& repeat : found) result_.repeated.push_back(repeat.slot);
    std::inplace_merge(result_.repeated.begin(),
                       result_.repeated.begin() + old_size,
                       result_.repeated.end());
  }

  void tell(const Finding& finding) {
    if (finding.is_error()) ++result_.errors;
    sink_(finding);
  }

  void tell_progress(uint64_t slot) const {
    if (slot % kProgressStep == 0 && options_.progress) options_.progress(slot);
  }

  const RecordPass& pass_;
  const StoreBounds& bounds_;
  const CheckOptions& options_;
  const FindingSink& sink_;
  uint64_t sound_ = 0;
  bool new_ascends_ = true;
  RecordCheck result_;
};

// Empty: it can be used.
std::string fault_of_chunk_size(uint64_t sectors) {
  if (ChunkSize::is_valid(sectors)) return "";
  std::string text = "chunk size " + number(sectors) + " (sectors) is ";
  if (sectors > kMaxChunkSectors) return text + "too large";
  return text + "not a power of two";
}

}  // namespace

std::string name_of(Finding::Kind kind) {
  switch (kind) {
    case Kind::no_header:
      return "no-header";
    case Kind::bad_magic:
      return "bad-magic";
    case Kind::bad_version:
      return "bad-version";
    case Kind::bad_chunk_size:
      return "bad-chunk-size";
    case Kind::bad_valid:
      return "bad-valid";
    case Kind::marked_invalid:
      return "marked-invalid";
    case Kind::header_rest:
      return "header-rest";
    case Kind::revert_note:
      return "revert-note";
    case Kind::old_beyond:
      return "old-beyond";
    case Kind::new_beyond:
      return "new-beyond";
    case Kind::new_metadata:
      return "new-metadata";
    case Kind::old_twice:
      return "old-twice";
    case Kind::new_twice:
      return "new-twice";
    case Kind::no_end:
      return "no-end";
    case Kind::unreadable:
      return "unreadable";
    case Kind::behind_end:
      return "behind-end";
  }
  return "unknown";
}

std::optional<Finding> fault_of(uint64_t slot, const DiskRecord& record,
                                const StoreBounds& bounds) {
  const ChunkSize chunk = bounds.layout.chunk_size();
  const auto fault = [&](Kind kind, const std::string& text) {
    return Finding{kind, bounds.layout.slot_offset(slot), slot, text};
  };
  const auto old_fault = [&](const char* why) {
    return fault(Kind::old_beyond,
                 "old chunk " + number(record.old_chunk) + why);
  };
  const auto new_fault = [&](Kind kind, const char* why) {
    return fault(kind, "new chunk " + number(record.new_chunk) + why);
  };
  if (bounds.origin_bytes &&
      record.old_chunk >= chunk.cover({0, *bounds.origin_bytes}).count) {
    return old_fault(" lies beyond the end of the origin");
  }
  constexpr auto kLargest =
      static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (record.old_chunk >= chunk.chunk_of(kLargest)) {
    return old_fault(" lies beyond the end of any device");
  }
  if (record.new_chunk >= chunk.chunk_of(bounds.cow_bytes) ||
      record.new_chunk > ExceptionTable::kMaxNewChunk) {
    return new_fault(Kind::new_beyond, " lies beyond the end of the device");
  }
  if (bounds.layout.is_metadata_chunk(record.new_chunk)) {
    return new_fault(Kind::new_metadata, " is a metadata chunk");
  }
  return std::nullopt;
}

HeaderCheck check_header(const HeaderSector& sector,
                         std::optional<uint64_t> chunk_sectors,
                         const FindingSink& sink) {
  const DiskHeader header = sector.header();
  const auto tell = [&](Kind kind, uint64_t offset, const std::string& text) {
    sink({kind, offset, std::nullopt, text});
  };
  HeaderCheck check;
  check.is_intact = true;
  if (header.magic != kMagic) {
    check.is_intact = false;
    tell(Kind::bad_magic, 0,
         header.magic == 0 ? "no header of a store"
                           : "not the header of a store");
  } else {
    if (header.version != kDiskVersion) {
      check.is_intact = false;
      tell(Kind::bad_version, 8,
           "version " + number(header.version) + " instead of 1");
    }
    const std::string fault = fault_of_chunk_size(header.chunk_sectors);
    if (!fault.empty()) {
      check.is_intact = false;
      tell(Kind::bad_chunk_size, 12, fault);
    } else {
      check.layout = StoreLayout(ChunkSize(header.chunk_sectors));
    }
    if (header.valid > 1) {
      tell(Kind::bad_valid, 4,
           "valid is " + number(header.valid) + " instead of 0 or 1");
    }
    if (header.valid == 0) {
      tell(Kind::marked_invalid, 4, "the snapshot is marked invalid");
    }
    if (unpack_revert_note(sector.bytes)) {
      tell(Kind::revert_note, kRevertNoteOffset,
           "the origin is being reverted to this snapshot; a mount of both "
           "goes on with that");
    } else if (sector.has_more()) {
      tell(Kind::header_rest, kHeaderBytes,
           "something lies behind the header, which nobody reads");
    }
  }
  check.is_valid = check.is_intact && header.valid != 0;
  if (chunk_sectors) check.layout = StoreLayout(ChunkSize(*chunk_sectors));
  return check;
}

bool RecordCheck::is_repeated(uint64_t slot) const {
  return contains(repeated, slot);
}

RecordCheck check_records(const RecordPass& pass, const StoreBounds& bounds,
                          const CheckOptions& options,
                          const FindingSink& sink) {
  return RecordsCheck(pass, bounds, options, sink).run();
}

StoreCheck check_store(BlockDevice& cow, const CheckOptions& options,
                       const FindingSink& sink) {
  StoreCheck check;
  const auto count = [&](const Finding& finding) {
    if (finding.is_error()) ++check.errors;
    sink(finding);
  };
  check.sector = read_header_sector(cow);
  if (!check.sector) {
    count({Kind::no_header, 0, std::nullopt, "shorter than a sector"});
    return check;
  }
  check.header = check_header(*check.sector, options.chunk_sectors, count);
  if (!check.header.layout) return check;
  const StoreLayout layout = *check.header.layout;
  check.bounds = {layout, cow.size(), options.origin_bytes};
  check.records = check_records(
      [&](const RecordSink& record) {
        return scan_log(cow, layout, record, nullptr);
      },
      *check.bounds, options, count);
  return check;
}

}  // namespace snapfs

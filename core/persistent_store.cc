// SPDX-License-Identifier: MIT
#include "core/persistent_store.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <tuple>

#include "core/error.h"

namespace snapfs {
namespace {

// One sector, which cannot be torn; create() has zeroed the rest of the chunk.
using HeaderSector = std::array<std::byte, kSectorBytes>;

HeaderSector header_sector(ChunkSize chunk_size, bool valid,
                           const RevertNote* note) {
  HeaderSector sector{};
  DiskHeader header;
  header.valid = valid ? 1 : 0;
  header.chunk_sectors = static_cast<uint32_t>(chunk_size.sectors());
  pack_header(header, sector);
  if (note != nullptr) pack_revert_note(*note, sector);
  return sector;
}

void write_header(BlockDevice& cow, ChunkSize chunk_size, bool valid,
                  const RevertNote* note = nullptr) {
  cow.write_durable(0, header_sector(chunk_size, valid, note));
}

// Checks records as they are loaded, and collects them in the table.
class Loader {
 public:
  // `marks`: chunks that should hold no data.
  Loader(const BlockDevice& cow, StoreLayout layout, uint64_t origin_chunks,
         ChunkRange marks, ExceptionTable& table)
      : cow_(cow),
        layout_(layout),
        origin_chunks_(origin_chunks),
        cow_chunks_(layout.chunk_size().chunk_of(cow.size())),
        marks_(marks),
        table_(table) {}

  void add(uint64_t slot, const DiskRecord& record) {
    if (record.old_chunk >= origin_chunks_) {
      refuse(slot, "old chunk " + std::to_string(record.old_chunk) +
                       " lies beyond the end of the origin");
    }
    std::string new_chunk = "new chunk " + std::to_string(record.new_chunk);
    if (record.new_chunk >= cow_chunks_ ||
        record.new_chunk > ExceptionTable::kMaxNewChunk) {
      refuse(slot, new_chunk + " lies beyond the end of the device");
    }
    if (layout_.is_metadata_chunk(record.new_chunk)) {
      refuse(slot, new_chunk + " is a metadata chunk");
    }
    batch_.push_back({record.old_chunk, record.new_chunk, slot});
    if (batch_.size() == kBatch) insert_batch();
    if (record.new_chunk < next_free_) ascending_ = false;
    if (marks_.overlaps({record.new_chunk, 1})) marks_are_data_ = true;
    next_free_ = std::max(next_free_, record.new_chunk + 1);
  }

  // Puts what is left into the table.
  void finish() { insert_batch(); }

  // Today's kernels and snapfs record ascending chunks, which cannot repeat.
  // Where they do not ascend all of them have to be looked at together.
  bool new_chunks_ascend() const { return ascending_; }

  bool marks_are_data() const { return marks_are_data_; }

  // Behind the last chunk in use.
  uint64_t next_free() const { return layout_.skip_metadata(next_free_); }

 private:
  struct Loaded {
    uint64_t old_chunk;
    uint64_t new_chunk;
    uint64_t slot;
  };

  // Records of scattered chunks go into the table in ascending batches, which
  // is several times faster than one by one.
  static constexpr std::size_t kBatch = std::size_t{1} << 19;

  void insert_batch() {
    std::sort(
        batch_.begin(), batch_.end(), [](const Loaded& a, const Loaded& b) {
          return std::tie(a.old_chunk, a.slot) < std::tie(b.old_chunk, b.slot);
        });
    for (const Loaded& record : batch_) {
      if (!table_.insert({record.old_chunk, record.new_chunk, 1})) {
        refuse(record.slot, "old chunk " + std::to_string(record.old_chunk) +
                                " is recorded twice");
      }
    }
    batch_.clear();
  }

  [[noreturn]] void refuse(uint64_t slot, const std::string& why) const {
    throw std::system_error(
        Errc::bad_metadata,
        cow_.name() + ": record " + std::to_string(slot) + " (at byte " +
            std::to_string(layout_.slot_offset(slot)) + "): " + why);
  }

  const BlockDevice& cow_;
  const StoreLayout layout_;
  const uint64_t origin_chunks_;
  const uint64_t cow_chunks_;
  const ChunkRange marks_;
  ExceptionTable& table_;
  uint64_t next_free_ = kFirstDataChunk;
  bool ascending_ = true;
  bool marks_are_data_ = false;
  std::vector<Loaded> batch_;
};

void refuse_repeated_new_chunks(BlockDevice& cow, StoreLayout layout) {
  std::vector<uint64_t> new_chunks;
  RecordLog::load(cow, layout, [&](uint64_t, const DiskRecord& record) {
    new_chunks.push_back(record.new_chunk);
  });
  std::sort(new_chunks.begin(), new_chunks.end());
  auto twice = std::adjacent_find(new_chunks.begin(), new_chunks.end());
  if (twice == new_chunks.end()) return;
  throw std::system_error(Errc::bad_metadata, cow.name() + ": new chunk " +
                                                  std::to_string(*twice) +
                                                  " is recorded twice");
}

}  // namespace

PersistentStore::Probe PersistentStore::probe(BlockDevice& cow) {
  std::array<std::byte, kSectorBytes> sector{};
  if (cow.size() < sector.size()) return {};
  cow.read(0, sector);
  Probe probe;
  probe.header = unpack_header(sector);
  if (probe.header.magic == kMagic) {
    probe.kind = Probe::Kind::store;
  } else if (probe.header.magic != 0) {
    probe.kind = Probe::Kind::foreign;
  }
  return probe;
}

bool PersistentStore::fits(const BlockDevice& cow, ChunkSize chunk_size) {
  return chunk_size.chunk_of(cow.size()) >= kFirstDataChunk;
}

std::unique_ptr<PersistentStore> PersistentStore::create(
    std::shared_ptr<BlockDevice> cow, ChunkSize chunk_size) {
  StoreLayout layout(chunk_size);
  cow->zero({0, chunk_size.bytes()});
  RecordLog log = RecordLog::create(*cow, layout);
  cow->flush();
  write_header(*cow, chunk_size, true);
  return std::unique_ptr<PersistentStore>(new PersistentStore(
      std::move(cow), layout, std::move(log), kFirstDataChunk, true));
}

std::unique_ptr<PersistentStore> PersistentStore::load(
    std::shared_ptr<BlockDevice> cow, ChunkSize chunk_size,
    uint64_t origin_chunks, ExceptionTable& table) {
  StoreLayout layout(chunk_size);
  std::array<std::byte, kSectorBytes> header{};
  cow->read(0, header);
  const std::optional<RevertNote> note = unpack_revert_note(header);
  ChunkRange marks;
  if (note) {
    marks.first = note->first_mark_chunk;
    if (marks.first >= chunk_size.chunk_of(cow->size())) {
      throw std::system_error(Errc::bad_metadata,
                              cow->name() +
                                  ": the marks of a revert lie beyond the end "
                                  "of the device");
    }
    marks.count = mark_chunks(layout, marks.first).back().end() - marks.first;
  }
  Loader loader(*cow, layout, origin_chunks, marks, table);
  RecordLog log = RecordLog::load(*cow, layout,
                                  [&](uint64_t slot, const DiskRecord& record) {
                                    loader.add(slot, record);
                                  });
  loader.finish();
  if (!loader.new_chunks_ascend()) refuse_repeated_new_chunks(*cow, layout);
  std::unique_ptr<PersistentStore> store(
      new PersistentStore(std::move(cow), layout, std::move(log),
                          loader.next_free(), loader.new_chunks_ascend()));
  store->has_void_note_ = loader.marks_are_data();
  if (note && !store->has_void_note_) store->load_marks(*note);
  return store;
}

PersistentStore::PersistentStore(std::shared_ptr<BlockDevice> cow,
                                 StoreLayout layout, RecordLog log,
                                 uint64_t next_free, bool ascends)
    : cow_(std::move(cow)),
      layout_(layout),
      ascends_(ascends),
      log_(std::move(log)),
      durable_end_(next_free),
      next_free_(next_free),
      records_(log_.size()),
      slots_(log_.size()) {}

StoreUsage PersistentStore::usage() const {
  MutexLock lock(mutex_);
  uint64_t chunk = layout_.chunk_size().sectors();
  return {next_free_ * chunk, cow_->size() >> kSectorShift,
          (layout_.area_of_slot(records_) + 2) * chunk};
}

std::optional<Reservation> PersistentStore::reserve(uint64_t count) {
  MutexLock lock(mutex_);
  auto new_chunks = find_room(count);
  if (!new_chunks) return std::nullopt;
  uint64_t ticket = first_ticket_ + pending_.size();
  uint64_t new_end = new_chunks->back().end();
  pending_.push_back({Pending::State::copying, count, next_free_, new_end, {}});
  slots_ += count;
  next_free_ = layout_.skip_metadata(new_end);
  return Reservation{ticket, std::move(*new_chunks)};
}

bool PersistentStore::has_room(uint64_t count) const {
  MutexLock lock(mutex_);
  return find_room(count).has_value();
}

uint64_t PersistentStore::device_chunks() const {
  return std::min(layout_.chunk_size().chunk_of(cow_->size()),
                  ExceptionTable::kMaxNewChunk);
}

// Data chunks from next_free_ on. Nothing if the device ends before them, or
// before the area that must follow when the records fill one: the last slot of
// an area is of use only if the next area exists.
std::optional<std::vector<ChunkRange>> PersistentStore::find_room(
    uint64_t count) const {
  const uint64_t chunks = device_chunks();
  if (count > chunks) return std::nullopt;
  uint64_t last_area = layout_.area_of_slot(slots_ + count);
  if (last_area != layout_.area_of_slot(slots_) &&
      layout_.area_chunk(last_area) >= chunks) {
    return std::nullopt;
  }
  std::vector<ChunkRange> ranges;
  uint64_t next = next_free_;
  for (uint64_t left = count; left != 0;) {
    uint64_t run = std::min(left, layout_.next_area_chunk(next) - next);
    ranges.push_back({next, run});
    if (ranges.back().end() > chunks) return std::nullopt;
    next = layout_.skip_metadata(next + run);
    left -= run;
  }
  return ranges;
}

void PersistentStore::hand_in(const Reservation& reservation,
                              std::vector<ExceptionRun> runs) noexcept {
  finish(reservation, Pending::State::handed_in, std::move(runs));
}

void PersistentStore::abandon(const Reservation& reservation) noexcept {
  finish(reservation, Pending::State::abandoned, {});
}

void PersistentStore::finish(const Reservation& reservation,
                             Pending::State state,
                             std::vector<ExceptionRun> runs) {
  MutexLock lock(mutex_);
  assert(reservation.ticket >= first_ticket_);
  Pending& pending = pending_[reservation.ticket - first_ticket_];
  assert(pending.state == Pending::State::copying);
  pending.state = state;
  pending.runs = std::move(runs);
  if (state == Pending::State::handed_in) {
    records_ += pending.count;
    last_handed_in_ = std::max(last_handed_in_, reservation.ticket);
  } else {
    slots_ -= pending.count;
    give_back_last();
  }
  changed_.notify_all();
}

// What was reserved last, and abandoned, is as if it had never been: writes
// that are tried again and again use nothing up. What lies below others stays
// unused as long as the store is loaded.
void PersistentStore::give_back_last() {
  while (!pending_.empty() &&
         pending_.back().state == Pending::State::abandoned) {
    next_free_ = pending_.back().new_begin;
    pending_.pop_back();
  }
}

bool PersistentStore::is_complete_through(uint64_t ticket) const {
  for (uint64_t i = 0; i < pending_.size() && first_ticket_ + i <= ticket;
       ++i) {
    if (pending_[i].state == Pending::State::copying) return false;
  }
  return true;
}

// The pending reservation that `new_chunk` belongs to.
uint64_t PersistentStore::ticket_of(uint64_t new_chunk) const {
  auto found = std::lower_bound(pending_.begin(), pending_.end(), new_chunk,
                                [](const Pending& pending, uint64_t chunk) {
                                  return pending.new_end <= chunk;
                                });
  return first_ticket_ + static_cast<uint64_t>(found - pending_.begin());
}

void PersistentStore::commit() {
  MutexLock lock(mutex_);
  const uint64_t ticket = last_handed_in_;
  const uint64_t needed = commits_begun_ + 1;  // one that begins after now
  for (;;) {
    if (broken_) std::rethrow_exception(broken_);
    if (invalid_) return;
    if (commits_done_ >= needed && committed_end_ > ticket) return;
    if (!has_leader_ && is_complete_through(ticket)) {
      lead_commit();
    } else {
      changed_.wait(mutex_);
    }
  }
}

void PersistentStore::commit_through(uint64_t new_chunk) {
  MutexLock lock(mutex_);
  for (;;) {
    if (broken_) std::rethrow_exception(broken_);
    if (invalid_ || is_durable(new_chunk)) return;
    if (!has_leader_ && is_complete_through(ticket_of(new_chunk))) {
      lead_commit();
    } else {
      changed_.wait(mutex_);
    }
  }
}

// Takes what is complete, in order of reservation; or throws, and takes
// nothing.
PersistentStore::Group PersistentStore::take_complete() {
  std::size_t complete = 0;
  std::size_t run_count = unwritten_.runs.size();
  while (complete < pending_.size() &&
         pending_[complete].state != Pending::State::copying) {
    run_count += pending_[complete++].runs.size();
  }
  Group group{{}, std::max(unwritten_.durable_end, durable_end_.load())};
  group.runs.reserve(run_count);
  group.runs.insert(group.runs.end(), unwritten_.runs.begin(),
                    unwritten_.runs.end());
  unwritten_ = {};
  for (; complete != 0; --complete) {
    const Pending& pending = pending_.front();
    group.runs.insert(group.runs.end(), pending.runs.begin(),
                      pending.runs.end());
    group.durable_end = std::max(group.durable_end, pending.new_end);
    pending_.pop_front();
    ++first_ticket_;
  }
  return group;
}

// A device that was cut off by mistake may be as long as before soon. Nothing
// must be taken for written until then, nor given up.
void PersistentStore::require_full_length() const {
  if (cow_->size() >= layout_.chunk_size().start_of(next_free_)) return;
  throw std::system_error(Errc::cow_shrunk, cow_->name());
}

// Lets go of the mutex while it writes. What it throws is not final, and its
// records are those of the next commit; a final error is in broken_.
void PersistentStore::lead_commit() {
  require_full_length();
  Group group = take_complete();
  const uint64_t committed_end = first_ticket_;
  const uint64_t number = ++commits_begun_;
  bool is_final = true;
  const std::exception_ptr failure = lead([&] {
    try {
      if (group.runs.empty()) {
        cow_->flush();
      } else {
        log_.append(group.runs);
      }
      durable_end_.store(group.durable_end);
    } catch (const std::exception& error) {
      // No space for a record below a sparse file: it can be written later,
      // from the same place on.
      is_final = errno_of(error) != ENOSPC;
      throw;
    }
  });
  if (failure && !is_final) {
    unwritten_ = std::move(group);
    std::rethrow_exception(failure);
  }
  if (failure) broken_ = failure;
  commits_done_ = number;
  committed_end_ = committed_end;
}

// What uses the log, or flushes the device while others may: one at a time, and
// without the mutex. Of two flushes at once the device reports an error to one,
// and it may have concerned what the other would take for written. Returns what
// `action` threw.
template <typename Action>
std::exception_ptr PersistentStore::lead(const Action& action) {
  assert(!has_leader_);
  has_leader_ = true;
  mutex_.unlock();
  std::exception_ptr failure;
  try {
    action();
  } catch (...) {
    failure = std::current_exception();
  }
  mutex_.lock();
  has_leader_ = false;
  changed_.notify_all();
  return failure;
}

// For those that lead without a commit.
void PersistentStore::wait_for_turn() {
  while (has_leader_) changed_.wait(mutex_);
  if (broken_) std::rethrow_exception(broken_);
}

bool PersistentStore::is_durable(uint64_t new_chunk) const {
  return new_chunk < durable_end_.load();
}

bool PersistentStore::has_uncommitted() const {
  MutexLock lock(mutex_);
  return !invalid_ && !broken_ && committed_end_ <= last_handed_in_;
}

// What a merge does with the log.
template <typename Action>
void PersistentStore::with_log(const Action& action) {
  MutexLock lock(mutex_);
  wait_for_turn();
  if (invalid_) throw std::system_error(Errc::snapshot_invalid, cow_->name());
  assert(pending_.empty());
  if (const auto failure = lead(action)) std::rethrow_exception(failure);
}

std::vector<ExceptionRun> PersistentStore::last_recorded(
    const MergeLimit& limit) {
  std::vector<DiskRecord> records;
  with_log([&] { records = log_.tail(limit.chunks); });
  std::vector<ExceptionRun> runs;
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    if (!runs.empty() && record->old_chunk + 1 == runs.back().old_chunk &&
        record->new_chunk + 1 == runs.back().new_chunk) {
      runs.back() = {record->old_chunk, record->new_chunk,
                     runs.back().count + 1};
      continue;
    }
    if (runs.size() == limit.runs) break;
    runs.push_back({record->old_chunk, record->new_chunk, 1});
  }
  return runs;
}

void PersistentStore::unrecord(uint64_t count) {
  with_log([&] {
    log_.truncate(count);
    const std::optional<uint64_t> next_free = next_free_of_log();
    MutexLock lock(mutex_);
    records_ = slots_ = log_.size();
    next_free_ = next_free.value_or(next_free_);
    durable_end_ = next_free_;
  });
}

// Behind the highest chunk that the log names, if that is easily told.
std::optional<uint64_t> PersistentStore::next_free_of_log() {
  if (log_.size() == 0) return kFirstDataChunk;
  if (!ascends_) return std::nullopt;
  try {
    return layout_.skip_metadata(log_.tail(1).back().new_chunk + 1);
  } catch (const std::exception&) {
    // The next step of the merge finds that, too, and says so.
    return std::nullopt;
  }
}

// ---- Reverts

std::shared_ptr<RevertMarks> PersistentStore::marks() const {
  MutexLock lock(mutex_);
  return marks_;
}

std::shared_ptr<const RevertMarks> PersistentStore::revert_marks() const {
  return marks();
}

bool PersistentStore::has_revert_note() const {
  MutexLock lock(mutex_);
  return has_revert_note_;
}

uint64_t PersistentStore::revert_chunks() const {
  MutexLock lock(mutex_);
  return mark_chunks(layout_, next_free_).back().end() - next_free_;
}

// Behind what is in use, so that the number of a chunk tells whether the revert
// is about it.
std::shared_ptr<RevertMarks> PersistentStore::take_room_for_marks(
    uint64_t length, uint64_t exceptions) {
  MutexLock lock(mutex_);
  assert(marks_ == nullptr);
  marks_ = std::make_shared<RevertMarks>(
      cow_, layout_,
      RevertNote{next_free_, length >> kSectorShift, exceptions});
  if (marks_->end() > device_chunks()) {
    marks_ = nullptr;
    throw std::system_error(
        Errc::store_full,
        cow_->name() + " has no room for the marks of a revert");
  }
  next_free_ = layout_.skip_metadata(marks_->end());
  return marks_;
}

// What was reserved behind them keeps them from being used again, until the
// next load.
void PersistentStore::give_marks_back() {
  MutexLock lock(mutex_);
  if (marks_ != nullptr && pending_.empty() &&
      next_free_ == layout_.skip_metadata(marks_->end())) {
    next_free_ = marks_->note().first_mark_chunk;
  }
  marks_ = nullptr;
}

void PersistentStore::begin_revert(uint64_t length, uint64_t exceptions) {
  const auto marks = take_room_for_marks(length, exceptions);
  try {
    marks->create();
  } catch (...) {
    give_marks_back();
    throw;
  }
  // Nobody else is at work, so that an error here is about the header alone.
  try {
    write_header(*cow_, layout_.chunk_size(), true, &marks->note());
  } catch (...) {
    try {
      write_header(*cow_, layout_.chunk_size(), true);
    } catch (const std::exception&) {
      // It may be there, and then the next mount acts upon it: so this one
      // does.
      return;
    }
    give_marks_back();
    throw;
  }
  MutexLock lock(mutex_);
  has_revert_note_ = true;
}

void PersistentStore::note_revert() {
  write_header_in_turn(&marks()->note());
  MutexLock lock(mutex_);
  has_revert_note_ = true;
}

void PersistentStore::load_marks(const RevertNote& note) {
  auto marks = std::make_shared<RevertMarks>(cow_, layout_, note);
  if (marks->end() > device_chunks()) {
    throw std::system_error(
        Errc::bad_metadata,
        cow_->name() +
            ": the marks of a revert lie beyond the end of the "
            "device");
  }
  marks->load();
  MutexLock lock(mutex_);
  next_free_ = std::max(next_free_, layout_.skip_metadata(marks->end()));
  marks_ = std::move(marks);
  has_revert_note_ = true;
}

void PersistentStore::mark_reverted(const std::vector<ExceptionRun>& runs) {
  marks()->set(runs, [this] { flush_in_turn(); });
}

// While commits go on. An error makes the next one fail as well.
void PersistentStore::flush_in_turn() {
  MutexLock lock(mutex_);
  wait_for_turn();
  if (const auto failure = lead([this] { cow_->flush(); })) {
    broken_ = failure;
    std::rethrow_exception(failure);
  }
}

// Not durably in one: if the write fails that is about the header alone, and it
// may be tried again; if the flush fails it may be about what others wrote.
void PersistentStore::write_header_in_turn(const RevertNote* note) {
  cow_->write(0, header_sector(layout_.chunk_size(), true, note));
  flush_in_turn();
}

void PersistentStore::end_revert() {
  write_header_in_turn(nullptr);
  {
    MutexLock lock(mutex_);
    has_revert_note_ = false;
  }
  give_marks_back();
}

void PersistentStore::invalidate() {
  {
    MutexLock lock(mutex_);
    invalid_ = true;
    changed_.notify_all();
  }
  write_header(*cow_, layout_.chunk_size(), false);
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "tests/powercut/journal.h"

namespace snapfs::test {
namespace {

const char* name_of(JournalEntry::Kind kind) {
  switch (kind) {
    case JournalEntry::Kind::write:
      return "write";
    case JournalEntry::Kind::write_durable:
      return "durable write";
    case JournalEntry::Kind::grow:
      return "grow";
    case JournalEntry::Kind::flush:
      return "flush";
    case JournalEntry::Kind::answer:
      return "answer";
    case JournalEntry::Kind::note:
      return "note";
  }
  return "?";
}

// The observer is at work in this thread.
thread_local bool is_observing = false;

template <typename Action>
void observe(const Action& action) {
  if (is_observing) return;
  is_observing = true;
  try {
    action();
  } catch (...) {
    is_observing = false;
    throw;
  }
  is_observing = false;
}

}  // namespace

std::string in_words(const JournalEntry& entry,
                     const std::vector<std::string>& device_names) {
  if (entry.kind == JournalEntry::Kind::note) return entry.words;
  std::string words =
      std::string(name_of(entry.kind)) + " " + device_names[entry.device];
  switch (entry.kind) {
    case JournalEntry::Kind::write:
    case JournalEntry::Kind::write_durable:
      words += " " + std::to_string(entry.offset) + "+" +
               std::to_string(entry.bytes.size());
      break;
    case JournalEntry::Kind::grow:
      words += " to " + std::to_string(entry.offset);
      break;
    default:
      break;
  }
  return words + " (#" + std::to_string(entry.op) + ")";
}

uint64_t Journal::begin(JournalEntry entry) {
  MutexLock lock(mutex_);
  entry.op = next_op_++;
  entries_.push_back(std::move(entry));
  return next_op_ - 1;
}

void Journal::answer(uint32_t device, uint64_t op) {
  JournalEntry entry;
  entry.kind = JournalEntry::Kind::answer;
  entry.device = device;
  entry.op = op;
  MutexLock lock(mutex_);
  entries_.push_back(std::move(entry));
}

void Journal::note(std::string words, std::function<void(Expected&)> change) {
  JournalEntry entry;
  entry.words = std::move(words);
  entry.note = std::move(change);
  MutexLock lock(mutex_);
  entries_.push_back(std::move(entry));
}

template <typename Action>
void JournalDevice::change(JournalEntry entry, const Action& action) {
  observe([&] { observer_.before(false); });
  entry.device = number_;
  const uint64_t op = journal_.begin(std::move(entry));
  action();
  journal_.answer(number_, op);
  observe([&] { observer_.after(false); });
}

void JournalDevice::read(uint64_t offset, std::span<std::byte> into) {
  observe([&] { observer_.before(true); });
  below_->read(offset, into);
  observe([&] { observer_.after(true); });
}

void JournalDevice::write(uint64_t offset, std::span<const std::byte> from) {
  JournalEntry entry;
  entry.kind = JournalEntry::Kind::write;
  entry.offset = offset;
  entry.bytes.assign(from.begin(), from.end());
  change(std::move(entry), [&] { below_->write(offset, from); });
}

void JournalDevice::write_durable(uint64_t offset,
                                  std::span<const std::byte> from) {
  JournalEntry entry;
  entry.kind = JournalEntry::Kind::write_durable;
  entry.offset = offset;
  entry.bytes.assign(from.begin(), from.end());
  change(std::move(entry), [&] { below_->write_durable(offset, from); });
}

void JournalDevice::zero(ByteRange range) {
  JournalEntry entry;
  entry.kind = JournalEntry::Kind::write;
  entry.offset = range.offset;
  entry.bytes.resize(range.length);
  change(std::move(entry), [&] { below_->zero(range); });
}

void JournalDevice::flush() {
  JournalEntry entry;
  entry.kind = JournalEntry::Kind::flush;
  change(std::move(entry), [&] { below_->flush(); });
}

void JournalDevice::grow(uint64_t bytes) {
  JournalEntry entry;
  entry.kind = JournalEntry::Kind::grow;
  entry.offset = bytes;
  change(std::move(entry), [&] { below_->grow(bytes); });
}

}  // namespace snapfs::test

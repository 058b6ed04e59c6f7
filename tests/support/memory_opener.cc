// SPDX-License-Identifier: MIT
//
// See memory_opener.h.
#include "tests/support/memory_opener.h"

#include <cerrno>
#include <map>
#include <utility>

#include "core/mutex.h"

namespace snapfs::test {

struct MemoryOpener::Entry {
  std::shared_ptr<BlockDevice> device;
  DeviceId id;
  DeviceId storage;
  std::string foreign;
  std::string holder;
  unsigned readers = 0;
  unsigned writers = 0;
};

struct MemoryOpener::State {
  mutable Mutex mutex;
  std::map<std::string, std::shared_ptr<Entry>> entries GUARDED_BY(mutex);
  uint64_t next_inode GUARDED_BY(mutex) = 1;

  std::shared_ptr<Entry> find(const std::string& path) const REQUIRES(mutex) {
    auto found = entries.find(path);
    return found == entries.end() ? nullptr : found->second;
  }

  // Throws if the claim cannot be had.
  void check_claim(const Entry& wanted, const std::string& path, bool writable,
                   const Place& place) const REQUIRES(mutex) {
    if (!wanted.holder.empty()) {
      throw TableError(place, path + " is in use by " + wanted.holder, EBUSY);
    }
    for (const auto& [other_path, other] : entries) {
      if (other->storage != wanted.storage || other->id == wanted.id) continue;
      if (other->writers > 0 || (writable && other->readers > 0)) {
        throw TableError(place, path + " is in use as " + other_path, EBUSY);
      }
    }
  }

  void release(Entry& entry, bool writable) EXCLUDES(mutex) {
    MutexLock lock(mutex);
    --(writable ? entry.writers : entry.readers);
  }
};

MemoryOpener::MemoryOpener() : state_(std::make_shared<State>()) {}
MemoryOpener::~MemoryOpener() = default;

std::shared_ptr<MemoryDevice> MemoryOpener::add(const std::string& path,
                                                uint64_t bytes) {
  auto device = std::make_shared<MemoryDevice>(bytes, path);
  add(path, device);
  return device;
}

void MemoryOpener::add(const std::string& path,
                       std::shared_ptr<BlockDevice> device) {
  auto entry = std::make_shared<Entry>();
  entry->device = std::move(device);
  MutexLock lock(state_->mutex);
  entry->id = {.is_block = false, .device = 1, .inode = state_->next_inode++};
  entry->storage = entry->id;
  state_->entries[path] = std::move(entry);
}

void MemoryOpener::add_alias(const std::string& path,
                             const std::string& target) {
  MutexLock lock(state_->mutex);
  state_->entries[path] = state_->entries.at(target);
}

void MemoryOpener::add_loop(const std::string& path,
                            const std::string& target) {
  auto entry = std::make_shared<Entry>();
  MutexLock lock(state_->mutex);
  const Entry& file = *state_->entries.at(target);
  entry->device = file.device;
  entry->storage = file.storage;
  entry->id = {.is_block = true, .device = state_->next_inode++, .inode = 0};
  state_->entries[path] = std::move(entry);
}

void MemoryOpener::set_foreign_content(const std::string& path,
                                       const std::string& words) {
  MutexLock lock(state_->mutex);
  state_->entries.at(path)->foreign = words;
}

void MemoryOpener::set_holder(const std::string& path,
                              const std::string& holder) {
  MutexLock lock(state_->mutex);
  state_->entries.at(path)->holder = holder;
}

bool MemoryOpener::exists(const std::string& path) const {
  MutexLock lock(state_->mutex);
  return state_->find(path) != nullptr;
}

unsigned MemoryOpener::open_count(const std::string& path) const {
  MutexLock lock(state_->mutex);
  std::shared_ptr<Entry> entry = state_->find(path);
  return entry == nullptr ? 0 : entry->readers + entry->writers;
}

OpenedDevice MemoryOpener::open(const std::string& path, bool writable,
                                const Place& place) {
  MutexLock lock(state_->mutex);
  std::shared_ptr<Entry> entry = state_->find(path);
  if (entry == nullptr) {
    throw TableError(place, path + ": no such device", ENOENT);
  }
  state_->check_claim(*entry, path, writable, place);
  ++(writable ? entry->writers : entry->readers);
  OpenedDevice opened;
  opened.device = std::shared_ptr<BlockDevice>(
      entry->device.get(), [state = state_, entry, writable](BlockDevice*) {
        state->release(*entry, writable);
      });
  opened.id = entry->id;
  opened.storage = entry->storage;
  opened.table_name = path;
  return opened;
}

OpenedDevice MemoryOpener::open_origin(const std::string& path, bool writable,
                                       const Place& place) {
  return open(path, writable, place);
}

OpenedDevice MemoryOpener::open_cow(const CowPath& cow, bool writable,
                                    const Place& place) {
  bool create = cow.create && !exists(cow.path);
  if (create) add(cow.path, cow.create_bytes);
  OpenedDevice opened = open(cow.path, writable, place);
  opened.created = create;
  return opened;
}

std::optional<DeviceId> MemoryOpener::storage_of(const std::string& path,
                                                 const Place&) {
  MutexLock lock(state_->mutex);
  std::shared_ptr<Entry> entry = state_->find(path);
  if (entry == nullptr) return std::nullopt;
  return entry->storage;
}

std::string MemoryOpener::foreign_content(const OpenedDevice& opened) {
  MutexLock lock(state_->mutex);
  for (const auto& [path, entry] : state_->entries) {
    if (entry->id == opened.id) return entry->foreign;
  }
  return "";
}

void MemoryOpener::discard_created(const OpenedDevice& opened) noexcept {
  MutexLock lock(state_->mutex);
  std::erase_if(state_->entries, [&](const auto& entry) {
    return entry.second->id == opened.id;
  });
}

}  // namespace snapfs::test

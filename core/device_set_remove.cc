// SPDX-License-Identifier: MIT
//
// The part of DeviceSet that removes devices.
#include <utility>

#include "core/device_set.h"
#include "core/error.h"
#include "core/keeping.h"
#include "core/merging_snapshot.h"
#include "core/salvaged_snapshot.h"
#include "core/snapshot.h"

namespace snapfs {

void DeviceSet::check_unwanted(const std::string& name) {
  MutexLock load_lock(load_mutex_);
  check_unwanted(member_of(name));
}

void DeviceSet::check_unwanted(Member& member) {
  check_not_reverting(member);
  const std::string& name = member.device->name();
  Member* destination = waiting_for(name);
  if (destination == nullptr || destination == &member) return;
  throw std::system_error(Errc::busy, destination->device->name() +
                                          " waits for the store of " + name +
                                          "; suspend " + name + ", or clear " +
                                          destination->device->name());
}

void DeviceSet::remove(const std::string& name) {
  MutexLock load_lock(load_mutex_);
  Member& member = member_of(name);
  Device& device = *member.device;
  check_unwanted(member);
  if (!second_names_of(name).empty()) {
    throw std::system_error(Errc::busy,
                            name + " has a second name, " +
                                second_names_of(name).front()->device->name() +
                                ", which has to be removed first");
  }
  if (member.kind == Member::Kind::none) {
    cancel_next(member);
    return keep_dropped(name);
  }
  auto check_closed = [&]() REQUIRES(device.mutex_) {
    if (device.open_count_ != 0 && device.handed_over_to_.empty()) {
      throw std::system_error(Errc::busy, name + " is open");
    }
  };
  {
    MutexLock device_lock(device.mutex_);
    check_closed();
  }
  KeptDevices after = kept();
  expect_removal(member, after);
  Keeping keeping(keeper_, events_, kept(), after, Keeping::Old::goes);
  {
    MutexLock device_lock(device.mutex_);
    check_closed();
    device.removed_ = true;
  }
  keeping.done(after);
  if (member.next) cancel_next(member);
  // What waited for its end waits for resume now.
  if (member.is_merge()) take_waiting_for_merge(name);
  {
    MutexLock lock(mutex_);
    devices_.erase(name);
  }
  Member removed = std::move(member);
  members_.erase(name);
  flush(*removed.device);
  take_down(std::move(removed));
  events_.on_event({EventKind::remove, name, "removed"});
}

// Takes a device's target away, so that it answers EIO, and its snapshot out of
// the family. Its devices are let go of on return.
// NOLINTNEXTLINE(performance-unnecessary-value-param)
void DeviceSet::take_down(Member member) {
  Device& device = *member.device;
  bool is_handed_over = false;
  bool was_suspended = false;
  {
    MutexLock lock(device.mutex_);
    is_handed_over = !device.handed_over_to_.empty();
    was_suspended = std::exchange(device.suspended_, false);
  }
  if (member.is_merge()) merge_driver_.remove(member.merging->merger());
  device.admission_.close();
  device.admission_.drain();
  // What came between the flush and here.
  flush(device);
  if (member.is_snapshot() && !is_handed_over) {
    Admission& gate = member.family->gate();
    gate.close();
    gate.drain();
    member.family->remove(*member.snapshot);
    if (revert_of(member) != nullptr) member.family->set_reverter(nullptr);
    removed_[member.cow] = {member.origin, write_count(member.origin)->load()};
    if (member.snapshot->exceptions().is_unrecorded_invalid()) {
      untrusted_.insert(member.cow);
    }
    gate.open();
  }
  if (member.is_merge()) {
    removed_[member.cow] = {member.origin, write_count(member.origin)->load()};
  }
  if (member.is_salvage()) {
    Admission& gate = member.family->gate();
    gate.close();
    gate.drain();
    member.family->unwatch(member.salvaged->written());
    gate.open();
  }
  {
    MutexLock lock(device.mutex_);
    device.removed_ = true;
    device.live_ = nullptr;
  }
  device.admission_.open();
  // What has parked on a suspended device gets its answer, too.
  if (was_suspended) device.admission_.open();
}

}  // namespace snapfs

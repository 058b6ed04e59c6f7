// SPDX-License-Identifier: MIT
//
// The part of DeviceSet that hands stores over: to those next tables that are
// ready, all of a group at one instant.
#include <cerrno>
#include <utility>

#include "core/device_set.h"
#include "core/error.h"
#include "core/handover.h"
#include "core/keeping.h"
#include "core/merging_snapshot.h"
#include "core/snapshot.h"

namespace snapfs {

void DeviceSet::resume_destination(Member& member) {
  std::set<std::string> group = *member.next->group;
  for (const std::string& name : group) {
    Member& source = member_of(member_of(name).next->source);
    if (&source != &member &&
        source.device->state() != DeviceState::suspended) {
      throw std::system_error(
          EINVAL, std::generic_category(),
          "Unable to perform snapshot handover until source is suspended: " +
              source.device->name() + " is not");
    }
  }
  for (const std::string& name : group) {
    check_merge_may_begin(member_of(name).next->table);
  }
  KeptDevices after = kept();
  expect_handover(group, after);
  Keeping keeping(keeper_, events_, kept(), after);
  // Under its own name a device is suspended on the way, as dm does it.
  if (member.is_snapshot() && member.has_store()) freeze(member);
  hand_over_group(group);
  keeping.done(kept());
}

void DeviceSet::hand_over_what_is_ready() {
  std::set<std::set<std::string>> ready;
  for (const auto& [name, member] : members_) {
    if (member.next && !member.next->source.empty() &&
        member.next->table.activate != Activate::manual &&
        is_ready(*member.next->group)) {
      ready.insert(*member.next->group);
    }
  }
  for (const auto& group : ready) hand_over_group(group);
}

bool DeviceSet::is_ready(const std::set<std::string>& group) {
  for (const std::string& name : group) {
    Member& source = member_of(member_of(name).next->source);
    if (source.device->state() != DeviceState::suspended) return false;
  }
  return true;
}

// What becomes of one table of a group.
struct DeviceSet::Step {
  Member* source;
  Member* target;
  CowExceptions::Owner owner;
  // One of them.
  std::shared_ptr<Snapshot> snapshot;
  std::shared_ptr<MergingSnapshot> merging;
};

DeviceSet::Step DeviceSet::make_step(Member& target) {
  const Next& next = *target.next;
  const auto& table = std::get<SnapshotTable>(next.table.target);
  Member& source = member_of(next.source);
  Step step{&source, &target, {}, nullptr, nullptr};
  step.owner = {target.device->name(), table.store, table.commit_interval,
                table.space};
  if (table.merge) {
    step.merging = std::make_shared<MergingSnapshot>(
        source.family, next.passdown.device,
        source.snapshot->exceptions().chunk_size(),
        MergingSnapshot::Options{next.length, source.origin_table_name,
                                 source.cow_table_name});
  } else {
    step.snapshot = std::make_shared<Snapshot>(
        source.family, nullptr,
        Snapshot::Options{next.length, table.read_only,
                          table.discard_zeroes_cow, next.passdown.device,
                          table.store, source.origin_table_name,
                          source.cow_table_name});
  }
  return step;
}

// One instant for all of them: no request is inside a source (each is
// suspended), and none inside an origin while its members change.
void DeviceSet::hand_over_group(const std::set<std::string>& group) {
  std::vector<Step> steps;
  std::set<Family*> families;
  std::set<std::string> origins;  // whose content is another one then
  for (const std::string& name : group) {
    steps.push_back(make_step(member_of(name)));
    families.insert(steps.back().source->family.get());
    if (steps.back().merging != nullptr && member_of(name).is_origin()) {
      origins.merge(all_names_of(name));
    }
  }
  for (const Step& step : steps) {
    // It may have become so by the very flush that was to make it durable.
    if (step.merging != nullptr &&
        step.source->snapshot->exceptions().state() == SnapshotState::invalid) {
      throw std::system_error(Errc::snapshot_invalid,
                              "Snapshot is invalid: can't merge");
    }
  }
  const std::vector<Member*> frozen = freeze_all(origins);
  for (Family* family : families) family->gate().close();
  for (Family* family : families) family->gate().drain();
  try {
    for (const Step& step : steps) {
      if (step.merging != nullptr) continue;
      step.source->snapshot->prepare_length(step.target->next->length);
    }
  } catch (...) {
    for (Family* family : families) family->gate().open();
    thaw_all(frozen);
    throw;
  }
  for (Step& step : steps) {
    Snapshot& source = *step.source->snapshot;
    Family& family = *step.source->family;
    if (step.merging != nullptr) {
      step.merging->merger().take(give_up_store(source, std::move(step.owner)));
      family.remove(source);
    } else {
      hand_over(source, *step.snapshot, std::move(step.owner));
      family.replace(source, *step.snapshot);
    }
  }
  for (Family* family : families) family->gate().open();
  for (Step& step : steps) {
    if (step.merging != nullptr) {
      make_merge_live(*step.source, *step.target, std::move(step.merging));
    } else {
      make_live(*step.source, *step.target, step.snapshot);
    }
  }
  thaw_second_names(frozen);
}

void DeviceSet::Member::take_devices_of(const Member& source) {
  family = source.family;
  origin = source.origin;
  origin_table_name = source.origin_table_name;
  cow = source.cow;
  cow_path = source.cow_path;
  cow_table_name = source.cow_table_name;
  cow_is_writable = source.cow_is_writable;
}

// `target` has its store; `source`, unless it is the same device, has none.
void DeviceSet::make_live(Member& source, Member& target,
                          const std::shared_ptr<Snapshot>& snapshot) {
  const std::string source_name = source.device->name();
  const std::string target_name = target.device->name();
  const bool same_name = &source == &target;
  if (!same_name) {
    target.kind = source.kind;
    target.take_devices_of(source);
    MutexLock lock(source.device->mutex_);
    source.device->handed_over_to_ = target_name;
  }
  target.snapshot = snapshot.get();
  target.writes_origin = target.next->passdown.device != nullptr;
  {
    MutexLock lock(target.device->mutex_);
    target.device->live_ = snapshot;
    target.device->live_table_ = target.device->next_table_;
    target.device->next_table_ = nullptr;
    target.device->next_source_.clear();
  }
  target.next.reset();
  // What has parked on the source goes on under the new table, or gets EIO.
  thaw(source);
  if (watcher_ != nullptr) watcher_->after_change(*source.device);
  events_.on_event({EventKind::handover, target_name,
                    same_name ? "took its store over under a new table: " +
                                    snapshot->table_line()
                              : "took over the store of " + source_name + ": " +
                                    snapshot->table_line()});
}

}  // namespace snapfs

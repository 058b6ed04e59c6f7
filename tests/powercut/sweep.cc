// SPDX-License-Identifier: MIT
#include "tests/powercut/sweep.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "tests/powercut/examine.h"

namespace snapfs::test {
namespace {

uint64_t combinations(const std::vector<Medium::Unit>& units, uint64_t limit) {
  uint64_t count = 1;
  for (const Medium::Unit& unit : units) {
    count *= unit.versions.size() + 1;
    if (count > limit) return limit + 1;
  }
  return count;
}

using Visit = std::function<bool(const Medium::Choice&)>;

bool visit_all(const std::vector<Medium::Unit>& units, const Visit& visit) {
  Medium::Choice choice(units.size(), 0);
  for (;;) {
    if (!visit(choice)) return false;
    std::size_t i = 0;
    for (; i < units.size(); ++i) {
      if (++choice[i] <= units[i].versions.size()) break;
      choice[i] = 0;
    }
    if (i == units.size()) return true;
  }
}

// In each sector the last write that `survives`.
Medium::Choice chosen_by(const std::vector<Medium::Unit>& units,
                         const std::function<bool(uint64_t op)>& survives) {
  Medium::Choice choice;
  for (const Medium::Unit& unit : units) {
    auto n = static_cast<uint32_t>(unit.versions.size());
    while (n != 0 && !survives(unit.versions[n - 1].op)) --n;
    choice.push_back(n);
  }
  return choice;
}

// The likely ones first, then what chance brings.
bool visit_some(const std::vector<Medium::Unit>& units, uint64_t count,
                Random& random, const Visit& visit) {
  std::set<uint64_t> distinct;
  for (const Medium::Unit& unit : units) {
    for (const auto& version : unit.versions) distinct.insert(version.op);
  }
  const std::vector<uint64_t> ops(distinct.begin(), distinct.end());
  if (!visit(chosen_by(units, [](uint64_t) { return true; }))) return false;
  if (!visit(chosen_by(units, [](uint64_t) { return false; }))) return false;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t some = ops[pick(random, ops.size())];
    const uint64_t odds = 1 + pick(random, 3);
    std::set<uint64_t> lost;
    for (uint64_t op : ops) {
      if (pick(random, 4) < odds) lost.insert(op);
    }
    Medium::Choice choice;
    switch (pick(random, 8)) {
      case 0:
        choice = chosen_by(units, [&](uint64_t op) { return op == some; });
        break;
      case 1:
        choice = chosen_by(units, [&](uint64_t op) { return op != some; });
        break;
      case 2:
        choice = chosen_by(units, [&](uint64_t op) { return op <= some; });
        break;
      case 3:
        choice = chosen_by(units, [&](uint64_t op) { return op >= some; });
        break;
      case 4:
        choice =
            chosen_by(units, [&](uint64_t op) { return !lost.contains(op); });
        break;
      case 5:
      case 6:
        // The one that was under way, in most cases, is torn.
        choice = chosen_by(units, [&](uint64_t op) {
          return op == ops.back() ? pick(random, 2) == 0 : !lost.contains(op);
        });
        break;
      default:
        choice = chosen_by(units, [&](uint64_t op) {
          return !lost.contains(op) && pick(random, 4) >= odds;
        });
        break;
    }
    if (!visit(choice)) return false;
  }
  return true;
}

class Sweep {
 public:
  Sweep(const World& world, const SweepOptions& options, Tally& tally)
      : world_(world),
        options_(options),
        tally_(tally),
        random_(options.seed),
        medium_(world.first_disks()),
        expected_(world.first_expected()) {}

  bool run() {
    const auto& entries = world_.journal().entries();
    for (; place_ < entries.size(); ++place_) {
      const JournalEntry& entry = entries[place_];
      if (entry.kind == JournalEntry::Kind::note) {
        entry.note(expected_);
        seen_.clear();  // the same content may be wrong now
      } else {
        medium_.apply(entry);
      }
      if (place_ < world_.first_cut()) continue;
      const bool is_last = place_ + 1 == entries.size();
      if (!is_last && pick(random_, options_.places_in) != 0) continue;
      if (!cut_here()) return false;
    }
    return true;
  }

 private:
  bool cut_here() {
    const std::vector<Medium::Unit> units = medium_.units();
    const Visit visit = [&](const Medium::Choice& choice) {
      return try_image(units, choice);
    };
    // One possible content is always tried.
    const uint64_t limit = std::max<uint64_t>(options_.exhaustive, 1);
    if (combinations(units, limit) <= limit) {
      return visit_all(units, visit);
    }
    return visit_some(units, options_.samples, random_, visit);
  }

  bool try_image(const std::vector<Medium::Unit>& units,
                 const Medium::Choice& choice) {
    const uint64_t hash = medium_.hash(units, choice);
    if (!seen_.insert(hash).second) return true;
    tally_.distinct.insert(hash);
    ++tally_.tried;
    SecondLife second = SecondLife::none;
    if (options_.second_life_in != 0) {
      second = pick(random_, options_.second_life_in) == 0
                   ? SecondLife::always
                   : SecondLife::where_it_is_rare;
    }
    const uint64_t seed = random_();
    const std::string why = examine(world_.spec(), medium_.disks(units, choice),
                                    expected_, second, seed, tally_);
    if (why.empty()) return true;
    tally_.failure = why + in_words(units, choice);
    return false;
  }

  std::string in_words(const std::vector<Medium::Unit>& units,
                       const Medium::Choice& choice) const {
    const std::vector<std::string> names = world_.device_names();
    const auto& entries = world_.journal().entries();
    std::string words = "\n  the power was cut after:";
    for (std::size_t i = place_ < 11 ? 0 : place_ - 11; i <= place_; ++i) {
      words += "\n    " + test::in_words(entries[i], names);
    }
    words += "\n  survivors of what need not be there:";
    for (std::size_t i = 0; i < units.size(); ++i) {
      if (choice[i] == 0) continue;
      words += " " + names[units[i].device] + ":" +
               (units[i].sector == Medium::kLength
                    ? "length"
                    : std::to_string(units[i].sector)) +
               "(#" + std::to_string(units[i].versions[choice[i] - 1].op) + ")";
    }
    return words;
  }

  const World& world_;
  const SweepOptions options_;
  Tally& tally_;
  Random random_;
  Medium medium_;
  Expected expected_;
  std::size_t place_ = 0;
  std::unordered_set<uint64_t> seen_;  // since what is expected has changed
};

}  // namespace

bool sweep(const World& world, const SweepOptions& options, Tally& tally) {
  return Sweep(world, options, tally).run();
}

}  // namespace snapfs::test

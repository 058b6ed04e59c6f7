// SPDX-License-Identifier: MIT
//
// What users may expect after the power failed at some moment: the devices that
// a later mount loads, and for each sector of each view the content that it may
// have. Views are logical: the model knows neither chunks nor records. Values;
// externally synchronised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/table.h"

namespace snapfs::test {

// Stamps a sector as pattern.h does; zeroes are generation 0. Nothing: neither,
// or another sector's.
std::optional<uint64_t> generation_in(const std::byte* sector, uint64_t number);

class View {
 public:
  View() = default;
  View(uint64_t sectors, uint64_t generation)
      : sectors_(sectors, {{generation, 0}}) {}

  uint64_t size() const { return sectors_.size(); }

  // `id` is of this write alone. What is not acknowledged may be there or not,
  // sector by sector; so may what is, until a flush.
  void begin_write(uint64_t first, uint64_t count, uint64_t generation,
                   uint64_t id);
  void acknowledge(uint64_t id) { acknowledged_.insert(id); }

  // What was acknowledged when the flush began stays when it is answered.
  // `id` is of this flush alone.
  void begin_flush(uint64_t id) { flushes_[id] = acknowledged_; }
  void end_flush(uint64_t id);

  // Everything that is acknowledged is there to stay.
  void settle();

  // After a cut.
  bool may_be(uint64_t sector, uint64_t generation) const;
  // As long as the power is on: what was acknowledged last, or what has not
  // been acknowledged.
  bool is_now(uint64_t sector, uint64_t generation) const;
  void found(uint64_t sector, uint64_t generation) {
    sectors_[sector] = {{generation, 0}};
  }
  std::string in_words(uint64_t sector) const;

 private:
  struct Value {
    uint64_t generation = 0;
    uint64_t write = 0;  // 0: it is settled
  };
  void keep_from(const std::set<uint64_t>& writes);

  std::vector<std::vector<Value>> sectors_;  // of each, the oldest first
  std::set<uint64_t> acknowledged_;
  std::map<uint64_t, std::set<uint64_t>> flushes_;
};

struct Expected {
  struct Snap {
    Table table;
    std::string cow;
    uint32_t device = 0;  // number of its COW
    // It is being taken: there is a store, or a later mount makes it.
    bool is_new = false;
    bool may_be_invalid = false;
    bool must_be_invalid = false;
    View view;
  };

  View base;
  Table base_table;
  // Number of the COW that is merged into the origin; 0: none.
  uint32_t merging = 0;
  std::map<std::string, Snap> snaps;
  struct Revert {
    enum class State { none, begins, under_way };
    State state = State::none;
    std::string to;  // name of the snapshot
  } revert;
  // What was not written yet.
  uint64_t next_generation = 1;

  View& view(const std::string& name) {
    return name == "base" ? base : snaps.at(name).view;
  }
};

}  // namespace snapfs::test

// SPDX-License-Identifier: MIT
//
// Every allocation of a request fails once. The request may fail, a snapshot
// may become invalid, but nothing waits for ever afterwards, no view shows what
// it should not, and every store loads again.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "core/device_set.h"
#include "core/error.h"
#include "tests/support/failing_allocations.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/pattern.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kSectors = 512;
constexpr unsigned kOld = 1;
constexpr unsigned kNew = 2;
constexpr unsigned kOwn = 3;

// An origin with two snapshots, of which `small` has written sectors 8 to 15.
class Rig {
 public:
  Rig() {
    auto origin = opener_.add("/origin", kSectors * kSectorBytes);
    stamp_device(*origin, {0, kSectors * kSectorBytes}, kOld);
    for (const char* path : {"/small", "/large"}) {
      // Its pages are there, so that it does not ask for memory itself.
      std::vector<std::byte> zeroes(4 * kSectors * kSectorBytes);
      opener_.add(path, zeroes.size())->write(0, zeroes);
    }
    open();
    write("small", 8, 8, kOwn);
  }

  void open() {
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    std::vector<Table> tables{origin_table("base", "/origin")};
    tables.push_back(
        snapshot_table("small", "base", "/small", StoreType::persistent, 8));
    tables.push_back(
        snapshot_table("large", "base", "/large", StoreType::persistent, 64));
    for (size_t i = 1; i < tables.size(); ++i) {
      snapshot_of(tables[i]).commit_interval = std::chrono::hours(1);
    }
    set_->load(tables);
  }

  void write(const std::string& name, uint64_t first, uint64_t count,
             unsigned generation) {
    target(name).write(first * kSectorBytes, stamped(first, count, generation));
  }

  Target& target(const std::string& name) { return *set_->find(name)->live(); }

  bool is_valid(const std::string& name) {
    return target(name).status_line().find("Invalid") == std::string::npos;
  }

  // What sector `sector` holds; 0 if it is a mixture.
  uint64_t generation(const std::string& name, uint64_t sector) {
    std::vector<std::byte> data(kSectorBytes);
    target(name).read(sector * kSectorBytes, data);
    for (unsigned each : {kOld, kNew, kOwn}) {
      if (stamp_difference(data, sector, each).empty()) return each;
    }
    return 0;
  }

 private:
  MemoryOpener opener_;
  EventRecorder events_;
  std::unique_ptr<DeviceSet> set_;
};

using Request = std::function<void(Rig&)>;
using Check = std::function<void(Rig&)>;

// Lets each allocation of `request` fail, and checks what is left, at once,
// after the request has been repeated, and after a reload.
void fail_each_allocation(const Request& request, const Check& check) {
  uint64_t skip = 0;
  for (bool has_failed = true; has_failed; ++skip) {
    SCOPED_TRACE("allocation " + std::to_string(skip));
    Rig rig;
    try {
      FailingAllocation failing(skip);
      try {
        request(rig);
      } catch (...) {
        has_failed = failing.has_failed();
        throw;
      }
      has_failed = failing.has_failed();
    } catch (const std::exception& error) {
      EXPECT_TRUE(errno_of(error) == ENOMEM || errno_of(error) == EIO)
          << error.what();
    }
    check(rig);

    // These would wait for a reservation that was left open.
    rig.write("base", 384, 8, kNew);
    for (const char* name : {"small", "large"}) {
      if (rig.is_valid(name)) rig.target(name).flush();
    }
    try {
      request(rig);
    } catch (const std::system_error& error) {
      EXPECT_EQ(errno_of(error), EIO);
    }
    check(rig);
    rig.open();
    check(rig);
    ASSERT_LT(skip, 1000u);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(skip, 5u) << "the request hardly needs memory";
}

void expect_old(Rig& rig, const std::string& name, uint64_t first,
                uint64_t count) {
  if (!rig.is_valid(name)) return;
  for (uint64_t sector = first; sector < first + count; ++sector) {
    ASSERT_EQ(rig.generation(name, sector), kOld) << name << " " << sector;
  }
}

TEST(OutOfMemory, an_origin_write_keeps_every_view) {
  fail_each_allocation([](Rig& rig) { rig.write("base", 4, 40, kNew); },
                       [](Rig& rig) {
                         expect_old(rig, "small", 0, 8);
                         expect_old(rig, "small", 16, 240);
                         expect_old(rig, "large", 0, kSectors);
                         if (!rig.is_valid("small")) return;
                         EXPECT_EQ(rig.generation("small", 9), kOwn);
                       });
}

TEST(OutOfMemory, a_snapshot_write_keeps_what_it_did_not_touch) {
  fail_each_allocation([](Rig& rig) { rig.write("small", 12, 30, kOwn); },
                       [](Rig& rig) {
                         expect_old(rig, "small", 0, 8);
                         expect_old(rig, "small", 42, 200);
                         expect_old(rig, "large", 0, kSectors);
                         for (uint64_t sector = 0; sector < 256; ++sector) {
                           ASSERT_EQ(rig.generation("base", sector), kOld);
                         }
                         if (!rig.is_valid("small")) return;
                         for (uint64_t sector = 12; sector < 42; ++sector) {
                           uint64_t found = rig.generation("small", sector);
                           ASSERT_TRUE(found == kOld || found == kOwn)
                               << sector;
                         }
                       });
}

TEST(OutOfMemory, a_flush_that_succeeded_is_durable) {
  fail_each_allocation(
      [](Rig& rig) {
        rig.write("small", 64, 8, kOwn);
        rig.target("small").flush();
      },
      [](Rig& rig) {
        expect_old(rig, "small", 0, 8);
        expect_old(rig, "large", 0, kSectors);
      });
}

}  // namespace
}  // namespace snapfs::test

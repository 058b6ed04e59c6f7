// SPDX-License-Identifier: MIT
//
// What a handover costs those who write meanwhile: the swap itself, and the
// longest time between two completions of a thread that writes the snapshot,
// or its origin, as requests on their files would. Beside it the time in which
// the same store is closed and loaded again. README.md says how to run it.
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/device_set.h"
#include "tests/bench/bench_files.h"
#include "tests/support/memory_opener.h"
#include "tests/support/parked_thread.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

constexpr unsigned kHandovers = 200;
constexpr uint64_t kWrittenChunks = 1024;

// Writes one chunk after the other to a device, for ever.
class Writer {
 public:
  explicit Writer(std::shared_ptr<Device> device)
      : device_(std::move(device)), thread_([this] { work(); }) {}
  ~Writer() {
    done_ = true;
    thread_.join();
  }

  // The longest time between two completions from now until `action` is over
  // and something has been completed after it.
  template <typename Action>
  Microseconds longest_gap(const Action& action) {
    wait_for_more();
    longest_ = 0;
    action();
    wait_for_more();
    return std::chrono::duration_cast<Microseconds>(
        Clock::duration(longest_.load()));
  }

  // Spins: a thread that sleeps comes back late, and measures that.
  void wait_for_more(uint64_t count = 20) {
    const uint64_t before = completed_;
    while (completed_ < before + count) {
    }
  }

 private:
  void work() {
    const std::vector<std::byte> data = data_of(kChunkBytes);
    Clock::time_point last = Clock::now();
    for (uint64_t i = 0; !done_; ++i) {
      {
        auto pass = enter(*device_);
        device_->live()->write(i % kWrittenChunks * kChunkBytes, data);
      }
      const Clock::time_point now = Clock::now();
      longest_ = std::max<Clock::rep>(longest_, (now - last).count());
      last = now;
      ++completed_;
    }
  }

  const std::shared_ptr<Device> device_;
  std::atomic<bool> done_{false};
  std::atomic<uint64_t> completed_{0};
  std::atomic<Clock::rep> longest_{0};
  std::thread thread_;
};

// While it lives, this thread and those that it starts are not interrupted by
// others, if that is allowed: what the scheduler does is easily a thousand
// times as long as what is measured. Only where each of both has its own
// processor.
class Undisturbed {
 public:
  Undisturbed() {
    if (std::thread::hardware_concurrency() >= 2) set(SCHED_FIFO, 1);
  }
  ~Undisturbed() { set(SCHED_OTHER, 0); }

 private:
  static void set(int policy, int priority) {
    sched_param parameters{};
    parameters.sched_priority = priority;
    sched_setscheduler(0, policy, &parameters);
  }
};

template <typename Action>
Microseconds time_of(const Action& action) {
  const Clock::time_point begin = Clock::now();
  action();
  return Clock::now() - begin;
}

// Of many measurements: the middle one and the longest.
struct Times {
  std::vector<Microseconds> all;

  std::string text() {
    std::sort(all.begin(), all.end());
    char words[64];
    std::snprintf(words, sizeof words, "%.0f / %.0f",
                  all[all.size() / 2].count(), all.back().count());
    return words;
  }
};

class Bench {
 public:
  explicit Bench(uint64_t exceptions) {
    opener_.add("/origin", make_file(uint64_t{1} << 40));
    opener_.add("/cow", make_store(exceptions, false, 2 * kWrittenChunks));
    open();
  }

  // A row of the table.
  void run(uint64_t exceptions) {
    Times swap, snapshot_gap, origin_gap, idle_gap;
    {
      Undisturbed undisturbed;
      Writer writer(set_->find("snap"));
      writer.wait_for_more(2 * kWrittenChunks);  // no first writes any more
      for (unsigned i = 0; i < kHandovers; ++i) {
        snapshot_gap.all.push_back(
            writer.longest_gap([&] { swap.all.push_back(hand_over()); }));
      }
      for (unsigned i = 0; i < kHandovers; ++i) {
        idle_gap.all.push_back(
            writer.longest_gap([&] { writer.wait_for_more(); }));
      }
    }
    {
      Undisturbed undisturbed;
      Writer writer(set_->find("base"));
      writer.wait_for_more(2 * kWrittenChunks);
      for (unsigned i = 0; i < kHandovers; ++i) {
        origin_gap.all.push_back(writer.longest_gap([&] { hand_over(); }));
      }
    }
    const Microseconds reload = time_of([&] {
      set_.reset();
      open();
    });
    std::printf("%10lu  %14s  %16s  %14s  %14s  %12.0f\n",
                static_cast<unsigned long>(exceptions), swap.text().c_str(),
                snapshot_gap.text().c_str(), origin_gap.text().c_str(),
                idle_gap.text().c_str(), reload.count());
    std::fflush(stdout);
  }

 private:
  static Table table(Activate activate) {
    Table table =
        snapshot_table("snap", "base", "/cow", StoreType::persistent, 8);
    table.activate = activate;
    return table;
  }

  void open() {
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    set_->load({origin_table("base", "/origin"), table(Activate::now)});
  }

  // Returns the time of the last step, in which the store changes hands.
  Microseconds hand_over() {
    set_->load({table(Activate::manual)});
    set_->suspend("snap");
    return time_of([&] { set_->resume("snap"); });
  }

  MemoryOpener opener_;
  EventRecorder events_;
  std::unique_ptr<DeviceSet> set_;
};

void run_all() {
  std::printf("microseconds; median / longest of %u handovers\n\n", kHandovers);
  std::printf("%10s  %14s  %16s  %14s  %14s  %12s\n", "exceptions", "the swap",
              "snapshot writer", "origin writer", "no handover", "reload");
  for (uint64_t exceptions : {0ull, 1'000'000ull, 10'000'000ull}) {
    Bench(exceptions).run(exceptions);
  }
}

}  // namespace
}  // namespace snapfs::test

int main() {
  try {
    snapfs::test::run_all();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "handover_bench: %s\n", error.what());
    return 1;
  }
}

// SPDX-License-Identifier: MIT
//
// How fast a merge is, beside a plain copy of the same bytes from one file to
// another, and what it costs those who use the device meanwhile. README.md says
// how to run it.
#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <random>
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
using Seconds = std::chrono::duration<double>;

constexpr uint64_t kCopyBytes = uint64_t{4} << 20;  // that of a step
constexpr unsigned kRounds = 5;
constexpr uint64_t kIdleRequests = 20000;

struct Case {
  const char* name;
  bool is_one_run;
  bool has_other_snapshot;
};

template <typename Action>
double seconds_of(const Action& action) {
  const Clock::time_point begin = Clock::now();
  action();
  return Seconds(Clock::now() - begin).count();
}

double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

// As dd does it, and durable at the end.
double copy_seconds(uint64_t bytes) {
  auto from = make_file(bytes);
  auto to = make_file(bytes);
  const std::vector<std::byte> data = data_of(kCopyBytes);
  for (uint64_t at = 0; at < bytes; at += kCopyBytes) {
    from->write(at, data);
    to->write(at, data);
  }
  from->flush();
  to->flush();
  std::vector<std::byte> buffer(kCopyBytes);
  return seconds_of([&] {
    for (uint64_t at = 0; at < bytes; at += kCopyBytes) {
      from->read(at, buffer);
      to->write(at, buffer);
    }
    to->flush();
  });
}

// What requests took, in microseconds.
class Latencies {
 public:
  void add(Clock::duration time) {
    all_.push_back(Seconds(time).count() * 1e6);
  }
  bool empty() const { return all_.empty(); }
  double at(double share) {
    std::sort(all_.begin(), all_.end());
    const double last = static_cast<double>(all_.size() - 1);
    return all_[static_cast<std::size_t>(last * share)];
  }

 private:
  std::vector<double> all_;
};

// Reads and writes chunks of a device all over the place, one after the other.
class User {
 public:
  User(std::shared_ptr<Device> device, uint64_t chunks)
      : device_(std::move(device)), chunks_(chunks) {}

  void request(Latencies& latencies) {
    const uint64_t offset = random_() % chunks_ * kChunkBytes;
    const bool reads = ++count_ % 2 == 0;
    const Clock::time_point begin = Clock::now();
    {
      auto pass = enter(*device_);
      if (reads) {
        device_->live()->read(offset, data_);
      } else {
        device_->live()->write(offset, data_);
      }
    }
    latencies.add(Clock::now() - begin);
  }

 private:
  const std::shared_ptr<Device> device_;
  const uint64_t chunks_;
  uint64_t count_ = 0;
  std::mt19937_64 random_{1};
  std::vector<std::byte> data_ = data_of(kChunkBytes);
};

// A merge of `bytes` that has begun, and makes a step when it is asked to.
class Merge {
 public:
  Merge(const Case& what, uint64_t bytes) {
    opener_.add("/origin", make_origin(bytes));
    opener_.add("/cow", make_file(2 * bytes));
    opener_.add("/other-cow", make_file(2 * bytes));
    set_ = std::make_unique<DeviceSet>(opener_, events_);
    std::vector<Table> tables{origin_table("base", "/origin"),
                              snapshot("snap", "/cow")};
    if (what.has_other_snapshot) {
      tables.push_back(snapshot("other", "/other-cow"));
    }
    set_->load(tables);
    fill(what, bytes);
    Table merge = merge_table("base", "/origin", "/cow");
    merge.activate = Activate::now;
    set_->load({merge});
  }

  std::shared_ptr<Device> device() { return set_->find("base"); }

  void run() {
    while (set_->merge_step("base") != 0) {
    }
  }

 private:
  static Table snapshot(const std::string& name, const std::string& cow) {
    return snapshot_table(name, "base", cow, StoreType::persistent, 8);
  }
  static std::shared_ptr<FileDevice> make_origin(uint64_t bytes) {
    // By which the merge opens it again.
    auto origin = make_file(bytes, "/origin");
    const std::vector<std::byte> data = data_of(kCopyBytes);
    for (uint64_t at = 0; at < bytes; at += kCopyBytes) origin->write(at, data);
    origin->flush();
    return origin;
  }
  void fill(const Case& what, uint64_t bytes) {
    const std::shared_ptr<Target> target = set_->find("snap")->live();
    if (what.is_one_run) {
      const std::vector<std::byte> data = data_of(kCopyBytes);
      for (uint64_t at = 0; at < bytes; at += kCopyBytes) {
        target->write(at, data);
      }
    } else {
      const std::vector<std::byte> data = data_of(kChunkBytes);
      const uint64_t chunks = bytes / kChunkBytes;
      for (uint64_t i = 0; i < chunks; ++i) {
        target->write(scattered(i, chunks) * kChunkBytes, data);
      }
    }
    target->flush();
  }

  MemoryOpener opener_;
  EventRecorder events_;
  std::unique_ptr<DeviceSet> set_;
};

// While nothing is merged, and while all is.
void measure_latency(const Case& what, uint64_t bytes, Latencies& idle,
                     Latencies& merging) {
  Merge merge(what, bytes);
  User user(merge.device(), bytes / kChunkBytes);
  for (uint64_t i = 0; i < kIdleRequests; ++i) user.request(idle);
  std::atomic<bool> has_ended{false};
  std::thread background([&] {
    merge.run();
    has_ended = true;
  });
  while (!has_ended) user.request(merging);
  background.join();
}

void run(const Case& what, uint64_t bytes) {
  std::vector<double> copies, merges, ratios;
  for (unsigned i = 0; i < kRounds; ++i) {
    copies.push_back(copy_seconds(bytes));
    Merge merge(what, bytes);
    merges.push_back(seconds_of([&] { merge.run(); }));
    ratios.push_back(copies.back() / merges.back());
  }
  Latencies idle, merging;
  measure_latency(what, bytes, idle, merging);
  if (merging.empty()) throw std::runtime_error("the merge was too short");
  const double mebibytes = static_cast<double>(bytes >> 20);
  std::printf(
      "%-32s %7.0f %7.0f %6.2f   %6.1f %6.1f %6.1f   %6.1f %8.1f %8.1f\n",
      what.name, mebibytes / median(copies), mebibytes / median(merges),
      median(ratios), idle.at(0.5), merging.at(0.5),
      merging.at(0.5) / idle.at(0.5), idle.at(0.99), merging.at(0.99),
      merging.at(1));
  std::fflush(stdout);
}

void run_all(uint64_t mebibytes) {
  std::printf(
      "%lu MiB in chunks of 4 KiB; MiB/s are medians of %u rounds, "
      "latencies microseconds\n\n"
      "%-32s %7s %7s %6s   %6s %6s %6s   %6s %8s %8s\n",
      static_cast<unsigned long>(mebibytes), kRounds, "", "copy", "merge",
      "ratio", "median", "with", "ratio", "99 %", "with", "longest");
  for (const Case& each : {Case{"one run", true, false},
                           Case{"one run, another snapshot", true, true},
                           Case{"scattered", false, false},
                           Case{"scattered, another snapshot", false, true}}) {
    run(each, mebibytes << 20);
  }
}

}  // namespace
}  // namespace snapfs::test

int main(int argc, char** argv) {
  try {
    const uint64_t mebibytes = argc > 1 ? std::stoull(argv[1]) : 128;
    // scattered() wants a power of two.
    snapfs::test::run_all(std::bit_ceil(std::max<uint64_t>(mebibytes, 4)));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "merge_bench: %s\n", error.what());
    return 1;
  }
}

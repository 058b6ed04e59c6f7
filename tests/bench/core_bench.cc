// SPDX-License-Identifier: MIT
//
// What the engine itself costs, without FUSE. Named workloads on files in
// SNAPFS_BENCH_DIR (default /dev/shm, so that no disk is measured): chunks of
// 4 KiB, requests of one chunk unless the name says otherwise. README.md says
// how to run and to compare.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/device_set.h"
#include "core/snapshot.h"
#include "tests/bench/bench_files.h"
#include "tests/support/counting_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/tables.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kOriginChunks = 32768;  // 128 MiB

// An origin, full of data, with some snapshots.
class Disks {
 public:
  explicit Disks(unsigned snapshots) : devices_(opener_, events_) {
    auto origin = make_file(kOriginChunks * kChunkBytes);
    for (uint64_t chunk = 0; chunk < kOriginChunks; chunk += 256) {
      origin->write(chunk * kChunkBytes, data_of(256 * kChunkBytes));
    }
    opener_.add("/origin", origin);
    std::vector<Table> tables{origin_table("origin", "/origin")};
    for (unsigned i = 0; i < snapshots; ++i) {
      std::string name = "snap" + std::to_string(i);
      opener_.add("/" + name, make_file((kOriginChunks + 1024) * kChunkBytes));
      tables.push_back(
          snapshot_table(name, "origin", "/" + name, StoreType::persistent, 8));
    }
    devices_.load(std::move(tables));
  }

  std::shared_ptr<Target> origin() { return devices_.find("origin")->live(); }
  std::shared_ptr<Target> snapshot() { return devices_.find("snap0")->live(); }

 private:
  MemoryOpener opener_;
  EventRecorder events_;
  DeviceSet devices_;
};

void write_all(Target& target) {
  std::vector<std::byte> data = data_of(256 * kChunkBytes);
  for (uint64_t chunk = 0; chunk < kOriginChunks; chunk += 256) {
    target.write(chunk * kChunkBytes, data);
  }
}

void count(benchmark::State& state, uint64_t bytes) {
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
  state.SetItemsProcessed(state.iterations());
}

// --- reads and overwrites: the same chunks again and again ------------------

void read_chunks(benchmark::State& state, Target& target) {
  auto bytes = static_cast<uint64_t>(state.range(0));
  std::vector<std::byte> buffer(bytes);
  uint64_t places = kOriginChunks * kChunkBytes / bytes;
  uint64_t i = 0;
  for (auto _ : state) {
    target.read(scattered(i++, places) * bytes, buffer);
  }
  count(state, bytes);
}

void overwrite_chunks(benchmark::State& state, Target& target) {
  std::vector<std::byte> data = data_of(kChunkBytes);
  uint64_t i = 0;
  for (auto _ : state) {
    target.write(scattered(i++, kOriginChunks) * kChunkBytes, data);
  }
  count(state, kChunkBytes);
}

void snapshot_read_origin(benchmark::State& state) {
  Disks disks(1);
  read_chunks(state, *disks.snapshot());
}
BENCHMARK(snapshot_read_origin)->Arg(4096)->Arg(1 << 20);

void snapshot_read_exception(benchmark::State& state) {
  Disks disks(1);
  write_all(*disks.snapshot());
  read_chunks(state, *disks.snapshot());
}
BENCHMARK(snapshot_read_exception)->Arg(4096)->Arg(1 << 20);

void snapshot_overwrite(benchmark::State& state) {
  Disks disks(1);
  write_all(*disks.snapshot());
  overwrite_chunks(state, *disks.snapshot());
}
BENCHMARK(snapshot_overwrite);

void origin_overwrite(benchmark::State& state) {
  Disks disks(static_cast<unsigned>(state.range(0)));
  write_all(*disks.origin());
  overwrite_chunks(state, *disks.origin());
}
BENCHMARK(origin_overwrite)->ArgName("snapshots")->Arg(0)->Arg(1)->Arg(8);

// --- first writes: every chunk once, then everything anew -------------------

void write_fresh_chunks(benchmark::State& state, unsigned snapshots,
                        bool to_origin, uint64_t bytes) {
  std::vector<std::byte> data = data_of(bytes);
  const uint64_t places =
      kOriginChunks * kChunkBytes / std::max(bytes, kChunkBytes);
  const uint64_t step = std::max(bytes, kChunkBytes);
  std::unique_ptr<Disks> disks;
  std::shared_ptr<Target> target;
  uint64_t i = places;
  for (auto _ : state) {
    if (i == places) {
      state.PauseTiming();
      target.reset();
      disks = std::make_unique<Disks>(snapshots);
      target = to_origin ? disks->origin() : disks->snapshot();
      i = 0;
      state.ResumeTiming();
    }
    target->write(scattered(i++, places) * step, data);
  }
  count(state, bytes);
}

void snapshot_first_write(benchmark::State& state) {
  write_fresh_chunks(state, 1, false, static_cast<uint64_t>(state.range(0)));
}
// Part of a chunk, a chunk, 256 chunks.
BENCHMARK(snapshot_first_write)->Arg(512)->Arg(4096)->Arg(1 << 20);

void origin_first_write(benchmark::State& state) {
  write_fresh_chunks(state, static_cast<unsigned>(state.range(0)), true,
                     static_cast<uint64_t>(state.range(1)));
}
BENCHMARK(origin_first_write)
    ->ArgNames({"snapshots", "bytes"})
    ->Args({1, 4096})
    ->Args({8, 4096})
    ->Args({1, 1 << 20})
    ->Args({8, 1 << 20});

// --- loading ----------------------------------------------------------------

uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void load_exceptions(benchmark::State& state) {
  auto exceptions = static_cast<uint64_t>(state.range(0));
  bool consecutive = state.range(1) != 0;
  MemoryOpener opener;
  EventRecorder events;
  opener.add("/origin", make_file(uint64_t{1} << 40));  // 2^28 chunks
  opener.add("/cow", make_store(exceptions, consecutive));
  uint64_t before = resident_bytes();
  for (auto _ : state) {
    DeviceSet devices(opener, events);
    devices.load(
        {snapshot_table("snap", "/origin", "/cow", StoreType::persistent, 8)});
    state.PauseTiming();
    auto snapshot =
        std::dynamic_pointer_cast<Snapshot>(devices.find("snap")->live());
    if (snapshot->exceptions().exception_count() != exceptions) {
      state.SkipWithError("not all exceptions were loaded");
    }
    auto per_exception = [&](uint64_t bytes) {
      return static_cast<double>(bytes) / static_cast<double>(exceptions);
    };
    state.counters["table_bytes_each"] =
        per_exception(snapshot->exceptions().memory_bytes());
    state.counters["resident_MB"] =
        (static_cast<double>(resident_bytes()) - static_cast<double>(before)) /
        1e6;
    state.ResumeTiming();
  }
}
BENCHMARK(load_exceptions)
    ->ArgNames({"exceptions", "consecutive"})
    ->ArgsProduct({{1'000'000, 10'000'000}, {0, 1}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

// --- barriers ---------------------------------------------------------------

// A disk that takes its time to make something durable.
class SlowBarrier : public CountingDevice {
 public:
  using CountingDevice::CountingDevice;

  void write_durable(uint64_t offset,
                     std::span<const std::byte> from) override {
    CountingDevice::write_durable(offset, from);
    std::this_thread::sleep_for(kTime);
  }
  void flush() override {
    CountingDevice::flush();
    std::this_thread::sleep_for(kTime);
  }

 private:
  static constexpr std::chrono::microseconds kTime{500};
};

// Threads that write fresh chunks, and want each of them durable.
void flushes_per_exception(benchmark::State& state) {
  const auto depth = static_cast<unsigned>(state.range(0));
  const bool to_origin = state.range(1) != 0;
  constexpr uint64_t kWrites = 1024;
  for (auto _ : state) {
    state.PauseTiming();
    MemoryOpener opener;
    EventRecorder events;
    opener.add("/origin", make_file(kOriginChunks * kChunkBytes));
    auto cow = std::make_shared<SlowBarrier>(
        make_file((kOriginChunks + 1024) * kChunkBytes));
    opener.add("/cow", cow);
    DeviceSet devices(opener, events);
    devices.load(
        {origin_table("origin", "/origin"),
         snapshot_table("snap", "origin", "/cow", StoreType::persistent, 8)});
    std::shared_ptr<Target> target =
        devices.find(to_origin ? "origin" : "snap")->live();
    cow->reset_counts();
    std::atomic<uint64_t> next{0};
    state.ResumeTiming();

    std::vector<std::thread> threads;
    for (unsigned i = 0; i < depth; ++i) {
      threads.emplace_back([&] {
        std::vector<std::byte> data = data_of(kChunkBytes);
        for (uint64_t w; (w = next++) < kWrites;) {
          target->write(scattered(w, kOriginChunks) * kChunkBytes, data);
          if (!to_origin) target->flush();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();

    state.PauseTiming();
    state.counters["barriers_each"] =
        static_cast<double>(cow->counts().barriers()) / kWrites;
    target.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kWrites));
}
BENCHMARK(flushes_per_exception)
    ->ArgNames({"depth", "origin"})
    ->ArgsProduct({{1, 16}, {0, 1}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace snapfs::test

BENCHMARK_MAIN();

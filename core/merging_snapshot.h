// SPDX-License-Identifier: MIT
//
// An origin that shows the content of a snapshot while that is merged into it.
// The target that dm calls "snapshot-merge". It allocates nothing: a write goes
// to the COW where the snapshot has an exception, and else to the origin.
// Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/family.h"
#include "core/merger.h"
#include "core/payload.h"
#include "core/table.h"
#include "core/target.h"

namespace snapfs {

class MergingSnapshot : public Target {
 public:
  struct Options {
    uint64_t length = 0;      // bytes
    std::string origin_name;  // as a table line prints them
    std::string cow_name;
  };

  // `origin` is the family's origin device, opened for writing. It has a store
  // once merger().take() was called, which is before anything else.
  MergingSnapshot(std::shared_ptr<Family> family,
                  std::shared_ptr<BlockDevice> origin, ChunkSize chunk_size,
                  Options options);

  Merger& merger() { return *merger_; }
  std::shared_ptr<Merger> shared_merger() const { return merger_; }

  // The origin itself, for what takes this one's place.
  const std::shared_ptr<BlockDevice>& origin() const { return origin_; }

  // Shown in details(): bytes a second, 0 for no limit; suspended or not.
  void show_rate(uint64_t rate) { rate_ = rate; }
  void show_paused(bool paused) { is_paused_ = paused; }

  uint64_t size() const override { return options_.length; }
  bool read_only() const override { return false; }
  void read(uint64_t offset, std::span<std::byte> into) override;
  void write(uint64_t offset, std::span<const std::byte> from) override;
  void zero(ByteRange range) override;
  void discard(ByteRange range) override;
  void flush() override;
  BlockDevice::Extent extent_at(uint64_t offset) override;
  uint64_t allocated_sectors() const override;
  std::string status_line() const override;
  std::string table_line() const override;
  std::string details() const override;
  std::vector<Measure> measures() const override;

 private:
  void put(const Payload& payload);
  void put_part(const Payload& payload, const Merger::Part& part,
                Merger::Ticket& ticket);
  uint64_t put_on_both(const Payload& payload, ByteRange range);
  const char* phase() const;

  const std::shared_ptr<Family> family_;
  const std::shared_ptr<BlockDevice> origin_;
  const Options options_;
  const std::shared_ptr<Merger> merger_;
  std::atomic<uint64_t> rate_{0};
  std::atomic<bool> is_paused_{false};
};

}  // namespace snapfs

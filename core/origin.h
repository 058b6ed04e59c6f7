// SPDX-License-Identifier: MIT
//
// An origin: the raw device, written so that its snapshots keep the old
// content. The target that dm calls "snapshot-origin". Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/family.h"
#include "core/target.h"

namespace snapfs {

class Origin : public Target {
 public:
  struct Options {
    uint64_t length = 0;  // bytes
    bool read_only = false;
    std::string device_name;  // as a table line prints it
  };

  Origin(std::shared_ptr<Family> family, std::shared_ptr<BlockDevice> device,
         Options options)
      : family_(std::move(family)),
        device_(std::move(device)),
        options_(std::move(options)) {}

  uint64_t size() const override { return options_.length; }
  bool read_only() const override { return options_.read_only; }
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
  const std::shared_ptr<Family> family_;
  const std::shared_ptr<BlockDevice> device_;
  const Options options_;
};

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/restore_command.h"

#include <cstdio>
#include <stdexcept>

#include "core/store_check.h"
#include "core/store_writer.h"
#include "fusefs/argument_parser.h"
#include "fusefs/dump_file.h"
#include "fusefs/interruption.h"
#include "fusefs/mount_options.h"
#include "fusefs/store_command.h"
#include "fusefs/store_device.h"

namespace snapfs {
namespace {

struct Wish {
  std::string dump;
  std::string cow;
  bool force = false;
};

Wish parse_wish(const std::vector<std::string>& arguments) {
  Wish wish;
  const auto words =
      parse_arguments(arguments, "f", {{"force", no_argument, nullptr, 'f'}},
                      [&](int, const std::string&) { wish.force = true; });
  if (words.empty()) throw UsageError("DUMP and COW are missing");
  if (words.size() == 1) throw UsageError("COW is missing");
  if (words.size() > 2) throw UsageError("one argument too many: " + words[2]);
  wish.dump = words[0];
  wish.cow = words[1];
  return wish;
}

// What would be wrong with the store. That it is marked invalid is no reason
// not to bring it back.
uint64_t check_dump(const DumpFile& dump, const OpenedDevice& cow,
                    const std::string& path, StoreProgress& progress) {
  const FindingSink print = print_findings(path, progress);
  uint64_t errors = 0;
  const FindingSink sink = [&](const Finding& finding) {
    if (finding.kind != Finding::Kind::marked_invalid && finding.is_error())
      ++errors;
    print(finding);
  };
  const DumpHead& head = dump.head();
  check_header(head.sector, head.chunk_sectors, sink);
  if (head.sector.header().chunk_sectors != head.chunk_sectors) {
    sink({Finding::Kind::bad_chunk_size, 12, std::nullopt,
          "chunk_sectors of the dump is not the header's"});
  }
  CheckOptions options;
  options.progress = show_scan(progress);
  check_records(
      [&](const RecordSink& record) { return dump.read(record, nullptr); },
      {dump.layout(), cow.device->size(), std::nullopt}, options, sink);
  progress.clear();
  return errors;
}

// Data chunks stay where they are, so it must be the same store.
void refuse_other_store(const DumpFile& dump, StoreDevices& devices,
                        const OpenedDevice& cow, const Wish& wish) {
  const std::string content = devices.foreign_content(cow);
  if (!content.empty())
    throw std::runtime_error(wish.cow + " holds " + content);
  const auto sector = read_header_sector(*cow.device);
  if (!sector) throw std::runtime_error(wish.cow + " is too short");
  const DiskHeader header = sector->header();
  if (header.magic == kMagic && header.version == kDiskVersion &&
      header.chunk_sectors != dump.head().chunk_sectors)
    throw std::runtime_error(wish.cow +
                             " holds a store with another chunk "
                             "size");
}

void write_store(const DumpFile& dump, BlockDevice& cow) {
  StoreWriter writer(cow, dump.layout());
  writer.begin();
  dump.read([&](uint64_t, const DiskRecord& record) { writer.append(record); },
            nullptr);
  dump.read(nullptr, [&](uint64_t slot, const DiskRecord& record) {
    writer.append_behind(slot, record);
  });
  writer.finish(dump.head().sector);
}

int restore(const Wish& wish) {
  const DumpFile dump(wish.dump);
  StoreDevices devices;
  const OpenedDevice cow = devices.open_to_write(wish.cow);
  StoreProgress progress(wish.dump, false);
  if (!wish.force) refuse_other_store(dump, devices, cow, wish);
  const uint64_t errors = check_dump(dump, cow, wish.dump, progress);
  if (errors != 0 && !wish.force)
    throw std::runtime_error(wish.dump + ": " + counted(errors, "error") +
                             "; nothing was written");
  make_room(cow, wish.cow,
            StoreWriter::needed_bytes(dump.layout(), dump.records(), 0));
  // From the first write on it is carried through.
  end_if_interrupted();
  try {
    write_store(dump, *cow.device);
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string(error.what()) + "; " + wish.cow +
                             " cannot be loaded until it has been restored");
  }
  std::printf("%s: %s restored\n", wish.cow.c_str(),
              counted(dump.records(), "record").c_str());
  return kStoreClean;
}

}  // namespace

int run_restore(const std::vector<std::string>& arguments) {
  return run_store_command([&] { return restore(parse_wish(arguments)); });
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/repair_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>

#include "core/error.h"
#include "core/revert_note.h"
#include "core/store_repair.h"
#include "fusefs/argument_parser.h"
#include "fusefs/interruption.h"
#include "fusefs/log.h"
#include "fusefs/mount_options.h"
#include "fusefs/store_command.h"
#include "fusefs/store_device.h"
#include "fusefs/store_dump.h"

namespace snapfs {
namespace {

struct Wish {
  std::string cow;
  std::string output;  // or in place
  std::string backup;  // in place: of the metadata as it was
  bool in_place = false;
  bool force = false;
  bool set_valid = false;
  bool shows_progress = false;
  std::optional<std::string> origin;
  std::optional<uint64_t> chunk_sectors;
};

void take(int letter, const std::string& argument, Wish& wish) {
  switch (letter) {
    case 'O':
      wish.output = argument;
      break;
    case 'i':
      wish.in_place = true;
      break;
    case 'b':
      wish.backup = argument;
      break;
    case 'f':
      wish.force = true;
      break;
    case 'v':
      wish.set_valid = true;
      break;
    case 'p':
      wish.shows_progress = true;
      break;
    case 'o':
      wish.origin = argument;
      break;
    default:
      wish.chunk_sectors = parse_chunk_sectors(argument);
  }
}

Wish parse_wish(const std::vector<std::string>& arguments) {
  Wish wish;
  wish.cow = only_word(
      parse_arguments(arguments, "O:ib:fvpo:c:",
                      {{"output", required_argument, nullptr, 'O'},
                       {"in-place", no_argument, nullptr, 'i'},
                       {"backup", required_argument, nullptr, 'b'},
                       {"force", no_argument, nullptr, 'f'},
                       {"set-valid", no_argument, nullptr, 'v'},
                       {"progress", no_argument, nullptr, 'p'},
                       {"origin", required_argument, nullptr, 'o'},
                       {"chunk-size", required_argument, nullptr, 'c'}},
                      [&](int letter, const std::string& argument) {
                        take(letter, argument, wish);
                      }),
      "COW");
  if (wish.in_place == !wish.output.empty())
    throw UsageError("either --output NEWCOW or --in-place says where to");
  if (wish.in_place == wish.backup.empty())
    throw UsageError("--in-place and --backup FILE go together");
  return wish;
}

// A dump that is durable, under its name, when this returns.
void write_backup(BlockDevice& cow, const Wish& wish) {
  const DumpHead head = read_dump_head(cow, wish.cow, wish.chunk_sectors);
  UniqueFd fd(::open(wish.backup.c_str(),
                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     0600));
  if (!fd) throw_errno("cannot make the backup", wish.backup);
  try {
    const UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(
        ::fdopen(fd.get(), "w"),
        [](std::FILE* file) { return std::fclose(file); });
    if (!out) throw_errno("cannot write the backup", wish.backup);
    fd.release();
    write_dump(cow, head, DumpFormat::text, out.get(),
               [](uint64_t) { end_if_interrupted(); });
    if (::fsync(copy.get()) != 0)
      throw_errno("cannot write the backup", wish.backup);
    const std::string directory =
        std::filesystem::absolute(wish.backup).parent_path();
    const UniqueFd parent(
        ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent && ::fsync(parent.get()) != 0 && errno != EINVAL)
      throw_errno("cannot make the name durable of", wish.backup);
  } catch (...) {
    ::unlink(wish.backup.c_str());
    throw;
  }
}

// What is to be in the header. Where that is lost nobody knows it any more.
bool marks_valid(const StoreCheck& check, const Wish& wish) {
  const DiskHeader header = check.sector->header();
  return wish.set_valid || (header.magic == kMagic && header.valid != 0);
}

void say(const std::string& text) { std::puts(text.c_str()); }

int report(const StoreCheck& check, const Wish& wish, RepairResult result) {
  const uint64_t left_out = check.records.end.slot - result.kept;
  const std::string path = wish.in_place ? wish.cow : wish.output;
  say(path + ": " + counted(result.kept, "record") + " kept, " +
      std::to_string(left_out) + " left out");
  if (left_out != 0)
    say("The chunks of what was left out show the origin as it is now.");
  if (!marks_valid(check, wish)) {
    say(path +
        ": marked invalid, as before; --set-valid marks it valid, if "
        "you know that no write to the origin went by it");
    return kStoreErrorsLeft;
  }
  return check.errors == 0 && result.unreadable == 0 ? kStoreClean
                                                     : kStoreRepaired;
}

bool is_reverting(const StoreCheck& check) {
  return unpack_revert_note(check.sector->bytes).has_value();
}

bool is_hopeless_only(const StoreCheck& check, const Wish& wish) {
  return check.errors == 1 && check.header.is_intact &&
         !check.header.is_valid && !wish.set_valid;
}

int repair_here(StoreDevices& devices, const Wish& wish,
                const CheckOptions& options, StoreProgress& progress) {
  const OpenedDevice cow = devices.open_to_write(wish.cow);
  const StoreCheck check =
      check_store(*cow.device, options, print_findings(wish.cow, progress));
  progress.clear();
  require_layout(check, wish.cow);
  if (is_reverting(check))
    throw std::runtime_error(
        wish.cow +
        ": its origin is being reverted to it; mount both until that has "
        "ended, or make a new store with --output");
  if (check.records.end.kind == LogEnd::Kind::unreadable)
    throw std::runtime_error(
        wish.cow +
        ": the log cannot be read; --output makes a new store of "
        "what can");
  if (check.errors == 0 && check.records.end.behind == 0) {
    say(wish.cow + ": nothing to repair");
    return kStoreClean;
  }
  if (is_hopeless_only(check, wish)) {
    say(wish.cow + ": marked invalid, but nothing else is wrong");
    return kStoreErrorsLeft;
  }
  end_if_interrupted();
  write_backup(*cow.device, wish);
  say("The metadata as it was: " + wish.backup + "; `snapfs restore --force " +
      wish.backup + " " + wish.cow + "` brings it back");
  std::fflush(stdout);
  // From the first write on it is carried through.
  end_if_interrupted();
  return report(check, wish,
                repair_in_place(*cow.device, check, marks_valid(check, wish)));
}

int repair_elsewhere(StoreDevices& devices, const Wish& wish,
                     const CheckOptions& options, StoreProgress& progress) {
  const OpenedDevice cow = devices.open_to_read(wish.cow);
  const FindingSink print = print_findings(wish.cow, progress);
  const StoreCheck check = check_store(*cow.device, options, print);
  progress.clear();
  require_layout(check, wish.cow);
  if (is_reverting(check))
    say("The new store does not go on with the revert of its origin.");
  end_if_interrupted();
  const uint64_t bytes = std::max(cow.device->size(), repaired_bytes(check));
  const OpenedDevice output =
      devices.open_output(wish.output, bytes, wish.force, cow.storage);
  try {
    const auto show = [&](uint64_t done, uint64_t total) {
      end_if_interrupted();
      progress.show_bytes(done, total);
      end_if_interrupted();
    };
    const RepairResult result =
        repair_to(*cow.device, check, marks_valid(check, wish), *output.device,
                  output.created, print, show);
    progress.clear();
    return report(check, wish, result);
  } catch (...) {
    if (output.created) devices.discard(output);
    throw;
  }
}

int repair(const Wish& wish) {
  StoreDevices devices;
  CheckOptions options;
  options.chunk_sectors = wish.chunk_sectors;
  if (wish.origin) options.origin_bytes = size_of_device(devices, *wish.origin);
  StoreProgress progress(wish.cow, wish.shows_progress);
  options.progress = show_scan(progress);
  return wish.in_place ? repair_here(devices, wish, options, progress)
                       : repair_elsewhere(devices, wish, options, progress);
}

}  // namespace

int run_repair(const std::vector<std::string>& arguments) {
  return run_store_command([&] { return repair(parse_wish(arguments)); });
}

}  // namespace snapfs

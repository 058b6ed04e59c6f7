// SPDX-License-Identifier: MIT
#include "fusefs/store_command.h"

#include <cstdio>
#include <optional>
#include <stdexcept>

#include "config/units.h"
#include "fusefs/interruption.h"
#include "fusefs/log.h"
#include "fusefs/mount_options.h"

namespace snapfs {

int run_store_command(const std::function<int()>& command) {
  note_interruptions();
  try {
    const int status = command();
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      throw std::runtime_error("cannot write to stdout");
    return status;
  } catch (const UsageError& error) {
    log_message(Severity::error, error.what());
    std::fprintf(stderr, "Try --help.\n");
    return kStoreUsage;
  } catch (const Interrupted& error) {
    log_message(Severity::error, error.what());
    return kStoreInterrupted;
  } catch (const std::bad_alloc&) {
    log_message(Severity::error, "out of memory");
    return kStoreTrouble;
  } catch (const std::exception& error) {
    log_message(Severity::error, error.what());
    return kStoreTrouble;
  }
}

std::string only_word(const std::vector<std::string>& words, const char* name) {
  if (words.empty()) throw UsageError(std::string(name) + " is missing");
  if (words.size() > 1) throw UsageError("one argument too many: " + words[1]);
  return words[0];
}

uint64_t parse_chunk_sectors(const std::string& text) {
  const std::optional<Size> size = parse_size(text);
  const uint64_t sectors =
      !size ? 0
      : size->has_unit
          ? size->number % kSectorBytes == 0 ? size->number / kSectorBytes : 0
          : size->number;
  if (!ChunkSize::is_valid(sectors))
    throw UsageError("not a chunk size, such as 16KiB: " + text);
  return sectors;
}

std::string finding_line(const std::string& path, const Finding& finding) {
  std::string line = path + ": byte " + std::to_string(finding.offset);
  if (finding.slot) line += ", record " + std::to_string(*finding.slot);
  line += ": " + name_of(finding.kind) + ": " + finding.text;
  return finding.is_error() ? line : line + " (no error)";
}

FindingSink print_findings(const std::string& path, StoreProgress& progress) {
  return [path, &progress](const Finding& finding) {
    end_if_interrupted();
    progress.clear();
    std::puts(finding_line(path, finding).c_str());
  };
}

ScanProgress show_scan(StoreProgress& progress) {
  return [&progress](uint64_t records) {
    end_if_interrupted();
    progress.show_records(records);
  };
}

std::string counted(uint64_t number, const std::string& noun) {
  return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

void require_layout(const StoreCheck& check, const std::string& path) {
  if (check.bounds) return;
  throw std::runtime_error(
      path + (check.sector ? ": the header does not tell the chunk size, and "
                             "so not where records are; --chunk-size does"
                           : ": too short for a store"));
}

}  // namespace snapfs

// SPDX-License-Identifier: MIT
#include "fusefs/store_dump.h"

#include <cerrno>
#include <cinttypes>
#include <memory>

#include "core/error.h"
#include "fusefs/store_command.h"

namespace snapfs {
namespace {

constexpr uint64_t kProgressStep = uint64_t{1} << 16;

// The sector without the zeroes at its end, but at least the header.
std::string to_hex(const HeaderSector& sector) {
  std::size_t length = sector.bytes.size();
  while (length > kHeaderBytes && sector.bytes[length - 1] == std::byte{0})
    --length;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < length; ++i) {
    const auto value = std::to_integer<unsigned>(sector.bytes[i]);
    text += kDigits[value >> 4];
    text += kDigits[value & 15];
  }
  return text;
}

// A path as one line of ASCII: whatever else is in it becomes a question mark.
std::string printable(std::string text) {
  for (char& c : text)
    if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') c = '?';
  return text;
}

class DumpWriter {
 public:
  virtual ~DumpWriter() = default;
  virtual void begin(const DumpHead& head) = 0;
  virtual void record(uint64_t slot, uint64_t offset,
                      const DiskRecord& record) = 0;
  virtual void behind(uint64_t slot, uint64_t offset,
                      const DiskRecord& record) = 0;
  virtual void end(const LogEnd& end) = 0;
};

class TextWriter : public DumpWriter {
 public:
  explicit TextWriter(std::FILE* out) : out_(out) {}

  void begin(const DumpHead& head) override {
    const DiskHeader header = head.sector.header();
    std::fprintf(out_,
                 "%s %" PRIu64
                 "\n"
                 "device %s\n"
                 "device_bytes %" PRIu64
                 "\n"
                 "chunk_sectors %" PRIu64
                 "\n"
                 "# magic %08" PRIx32 " valid %" PRIu32 " version %" PRIu32
                 " chunk size %" PRIu32
                 "\n"
                 "header %s\n"
                 "# record SLOT BYTE OLD_CHUNK NEW_CHUNK\n",
                 kDumpFormat, kDumpVersion, printable(head.device).c_str(),
                 head.device_bytes, head.chunk_sectors, header.magic,
                 header.valid, header.version, header.chunk_sectors,
                 to_hex(head.sector).c_str());
  }
  void record(uint64_t slot, uint64_t offset,
              const DiskRecord& record) override {
    print("record", slot, offset, record);
  }
  void behind(uint64_t slot, uint64_t offset,
              const DiskRecord& record) override {
    print("behind", slot, offset, record);
  }
  void end(const LogEnd& end) override {
    std::fprintf(out_, "end %" PRIu64 " %" PRIu64 "\n", end.slot, end.behind);
  }

 private:
  void print(const char* word, uint64_t slot, uint64_t offset,
             const DiskRecord& record) {
    std::fprintf(out_, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                 word, slot, offset, record.old_chunk, record.new_chunk);
  }

  std::FILE* const out_;
};

class JsonWriter : public DumpWriter {
 public:
  explicit JsonWriter(std::FILE* out) : out_(out) {}

  void begin(const DumpHead& head) override {
    const DiskHeader header = head.sector.header();
    std::fprintf(out_,
                 "{\n"
                 "\"format\": \"%s\",\n"
                 "\"format_version\": %" PRIu64
                 ",\n"
                 "\"device\": \"%s\",\n"
                 "\"device_bytes\": %" PRIu64
                 ",\n"
                 "\"chunk_sectors\": %" PRIu64
                 ",\n"
                 "\"valid\": %s,\n"
                 "\"header\": \"%s\",\n"
                 "\"records\": [",
                 kDumpFormat, kDumpVersion, printable(head.device).c_str(),
                 head.device_bytes, head.chunk_sectors,
                 header.valid != 0 ? "true" : "false",
                 to_hex(head.sector).c_str());
  }
  void record(uint64_t slot, uint64_t offset,
              const DiskRecord& record) override {
    print(slot, offset, record);
  }
  void behind(uint64_t slot, uint64_t offset,
              const DiskRecord& record) override {
    if (!is_behind_) begin_behind();
    print(slot, offset, record);
  }
  void end(const LogEnd& end) override {
    if (!is_behind_) begin_behind();
    std::fprintf(out_,
                 "\n],\n"
                 "\"record_count\": %" PRIu64
                 ",\n"
                 "\"behind_count\": %" PRIu64 "\n}\n",
                 end.slot, end.behind);
  }

 private:
  void begin_behind() {
    std::fputs("\n],\n\"behind_end\": [", out_);
    is_behind_ = true;
    is_first_ = true;
  }
  void print(uint64_t slot, uint64_t offset, const DiskRecord& record) {
    std::fprintf(out_,
                 "%s\n{\"slot\": %" PRIu64 ", \"byte\": %" PRIu64
                 ", \"old_chunk\": %" PRIu64 ", \"new_chunk\": %" PRIu64 "}",
                 is_first_ ? "" : ",", slot, offset, record.old_chunk,
                 record.new_chunk);
    is_first_ = false;
  }

  std::FILE* const out_;
  bool is_behind_ = false;
  bool is_first_ = true;
};

void require_written(std::FILE* out) {
  if (std::ferror(out) != 0) throw_errno(errno, "cannot write", "the dump");
}

}  // namespace

DumpHead read_dump_head(BlockDevice& cow, const std::string& path,
                        std::optional<uint64_t> chunk_sectors) {
  StoreCheck check;
  check.sector = read_header_sector(cow);
  if (check.sector) {
    const HeaderCheck header =
        check_header(*check.sector, chunk_sectors, [](const Finding&) {});
    if (header.layout) check.bounds = {*header.layout, cow.size(), {}};
  }
  require_layout(check, path);
  return {path, cow.size(), *check.sector,
          check.bounds->layout.chunk_size().sectors()};
}

LogEnd write_dump(BlockDevice& cow, const DumpHead& head, DumpFormat format,
                  std::FILE* out, const ScanProgress& progress) {
  std::unique_ptr<DumpWriter> writer;
  if (format == DumpFormat::json) {
    writer = std::make_unique<JsonWriter>(out);
  } else {
    writer = std::make_unique<TextWriter>(out);
  }
  const StoreLayout layout{ChunkSize(head.chunk_sectors)};
  writer->begin(head);
  LogEnd end = scan_log(
      cow, layout,
      [&](uint64_t slot, const DiskRecord& record) {
        if (slot % kProgressStep == 0) {
          require_written(out);
          if (progress) progress(slot);
        }
        writer->record(slot, layout.slot_offset(slot), record);
      },
      [&](uint64_t slot, const DiskRecord& record) {
        writer->behind(slot, layout.slot_offset(slot), record);
      });
  writer->end(end);
  if (std::fflush(out) != 0) throw_errno(errno, "cannot write", "the dump");
  require_written(out);
  return end;
}

}  // namespace snapfs

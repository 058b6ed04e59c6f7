// SPDX-License-Identifier: MIT
#include "fusefs/dump_file.h"

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "config/units.h"
#include "core/error.h"
#include "fusefs/json_reader.h"

namespace snapfs {
namespace {

std::optional<HeaderSector> from_hex(const std::string& text) {
  HeaderSector sector;
  if (text.size() % 2 != 0 || text.size() < 2 * kHeaderBytes ||
      text.size() > 2 * sector.bytes.size())
    return std::nullopt;
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    sector.bytes[i / 2] = static_cast<std::byte>(high * 16 + low);
  }
  return sector;
}

// What a dump says, entry by entry, in whatever form it is.
struct Entry {
  uint64_t slot = 0;
  uint64_t offset = 0;
  DiskRecord record;
};

struct DumpEvents {
  std::function<void(const Entry&)> record = [](const Entry&) {};
  std::function<void(const Entry&)> behind = [](const Entry&) {};
  DumpHead head;
  bool has_header = false;
  std::optional<uint64_t> record_count;
  std::optional<uint64_t> behind_count;

  void take_format(uint64_t version) {
    if (version != kDumpVersion)
      throw std::runtime_error("version " + std::to_string(version) +
                               " of dumps is unknown");
    has_format = true;
  }
  void take_header(const std::string& text) {
    const auto sector = from_hex(text);
    if (!sector) throw std::runtime_error("the header makes no sense");
    head.sector = *sector;
    has_header = true;
  }
  bool has_format = false;
};

class TextParser {
 public:
  explicit TextParser(std::istream& in) : in_(in) {}

  void run(DumpEvents& events) {
    std::string line;
    while (std::getline(in_, line)) {
      ++line_;
      if (line.empty() || line[0] == '#') continue;
      if (events.record_count) fail("something follows the end");
      try {
        take(line, events);
      } catch (const std::runtime_error& error) {
        fail(error.what());
      }
      if (!events.has_format) fail("not a dump of snapfs");
    }
  }

 private:
  static void take(const std::string& line, DumpEvents& events) {
    const std::size_t blank = line.find(' ');
    const std::string word = line.substr(0, blank);
    const std::string rest =
        blank == std::string::npos ? "" : line.substr(blank + 1);
    if (word == kDumpFormat) return events.take_format(numbers(rest, 1)[0]);
    if (word == "device") {
      events.head.device = rest;
    } else if (word == "device_bytes") {
      events.head.device_bytes = numbers(rest, 1)[0];
    } else if (word == "chunk_sectors") {
      events.head.chunk_sectors = numbers(rest, 1)[0];
    } else if (word == "header") {
      events.take_header(rest);
    } else if (word == "record") {
      events.record(entry(rest));
    } else if (word == "behind") {
      events.behind(entry(rest));
    } else if (word == "end") {
      const auto counts = numbers(rest, 2);
      events.record_count = counts[0];
      events.behind_count = counts[1];
    } else {
      throw std::runtime_error("unknown word");
    }
  }

  static std::array<uint64_t, 4> numbers(const std::string& text,
                                         std::size_t count) {
    std::array<uint64_t, 4> found{};
    std::istringstream words(text);
    std::string word;
    std::size_t at = 0;
    while (words >> word) {
      const auto value = parse_number(word);
      if (!value || at == count)
        throw std::runtime_error("these are not " + std::to_string(count) +
                                 " numbers");
      found[at++] = *value;
    }
    if (at != count)
      throw std::runtime_error("these are not " + std::to_string(count) +
                               " numbers");
    return found;
  }

  static Entry entry(const std::string& text) {
    const auto found = numbers(text, 4);
    return {found[0], found[1], {found[2], found[3]}};
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error("line " + std::to_string(line_) + ": " + what);
  }

  std::istream& in_;
  uint64_t line_ = 0;
};

class JsonParser {
 public:
  explicit JsonParser(std::istream& in) : reader_(in) {}

  void run(DumpEvents& events) {
    reader_.begin_object();
    for (bool first = true; auto key = reader_.next_key(first); first = false)
      take(*key, events);
    reader_.expect_end();
    if (!events.has_format) throw std::runtime_error("not a dump of snapfs");
  }

 private:
  void take(const std::string& key, DumpEvents& events) {
    if (key == "format_version")
      return events.take_format(reader_.read_number());
    if (key == "format") {
      if (reader_.read_string() != kDumpFormat)
        throw std::runtime_error("not a dump of snapfs");
    } else if (key == "device") {
      events.head.device = reader_.read_string();
    } else if (key == "device_bytes") {
      events.head.device_bytes = reader_.read_number();
    } else if (key == "chunk_sectors") {
      events.head.chunk_sectors = reader_.read_number();
    } else if (key == "header") {
      events.take_header(reader_.read_string());
    } else if (key == "records") {
      take_entries(events.record);
    } else if (key == "behind_end") {
      take_entries(events.behind);
    } else if (key == "record_count") {
      events.record_count = reader_.read_number();
    } else if (key == "behind_count") {
      events.behind_count = reader_.read_number();
    } else {
      reader_.skip_value();
    }
  }

  void take_entries(const std::function<void(const Entry&)>& sink) {
    reader_.begin_array();
    for (bool first = true; reader_.next_item(first); first = false)
      sink(read_entry());
  }

  Entry read_entry() {
    Entry entry;
    unsigned seen = 0;
    const auto take_number = [&](uint64_t& value, unsigned bit) {
      value = reader_.read_number();
      seen |= bit;
    };
    reader_.begin_object();
    for (bool first = true; auto key = reader_.next_key(first); first = false) {
      if (*key == "slot") {
        take_number(entry.slot, 1);
      } else if (*key == "byte") {
        take_number(entry.offset, 2);
      } else if (*key == "old_chunk") {
        take_number(entry.record.old_chunk, 4);
      } else if (*key == "new_chunk") {
        take_number(entry.record.new_chunk, 8);
      } else {
        reader_.skip_value();
      }
    }
    if (seen != 15) throw std::runtime_error("a record lacks something");
    return entry;
  }

  JsonReader reader_;
};

void parse(const std::string& path, DumpEvents& events) {
  // It is read more than once.
  if (!std::filesystem::is_regular_file(path))
    throw std::runtime_error(path + ": not a regular file");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw_errno(errno, "cannot read", path);
  try {
    if (in.peek() == '{') {
      JsonParser(in).run(events);
    } else {
      TextParser(in).run(events);
    }
    if (in.bad()) throw std::runtime_error("it cannot be read");
    if (!events.has_header || !events.record_count || !events.behind_count)
      throw std::runtime_error("the dump is not complete");
    if (!ChunkSize::is_valid(events.head.chunk_sectors))
      throw std::runtime_error("chunk_sectors makes no sense");
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

// Checks that entries are at the places they name, and in order.
class Order {
 public:
  Order(std::string path, StoreLayout layout)
      : path_(std::move(path)), layout_(layout) {}

  void take_record(const Entry& entry) {
    require(entry.slot == records_ && is_in_place(entry) &&
                entry.record.new_chunk != 0,
            entry);
    ++records_;
  }
  void take_behind(const Entry& entry) {
    require(entry.slot < kMaxSlot && (behind_ == 0 || entry.slot > last_) &&
                is_in_place(entry),
            entry);
    if (behind_ == 0) first_ = entry;
    ++behind_;
    last_ = entry.slot;
  }
  void finish(const DumpEvents& events) const {
    if (behind_ != 0) {
      const uint64_t area = layout_.area_of_slot(records_);
      // The slot that ends the log has no new chunk.
      const bool is_end =
          first_.slot == records_ && first_.record.new_chunk == 0;
      require((first_.slot > records_ || is_end) &&
                  layout_.area_of_slot(first_.slot) == area &&
                  layout_.area_of_slot(last_) == area,
              first_);
    }
    if (events.record_count != records_ || events.behind_count != behind_)
      throw std::runtime_error(path_ +
                               ": its counts are not those of its "
                               "records");
  }
  uint64_t records() const { return records_; }
  uint64_t behind() const { return behind_; }

 private:
  static constexpr uint64_t kMaxSlot = uint64_t{1} << 48;

  bool is_in_place(const Entry& entry) const {
    return layout_.slot_offset(entry.slot) == entry.offset;
  }
  void require(bool holds, const Entry& entry) const {
    if (holds) return;
    throw std::runtime_error(path_ + ": record " + std::to_string(entry.slot) +
                             " is not in its place");
  }

  const std::string path_;
  const StoreLayout layout_;
  uint64_t records_ = 0;
  uint64_t behind_ = 0;
  Entry first_;
  uint64_t last_ = 0;
};

}  // namespace

DumpFile::DumpFile(std::string path) : path_(std::move(path)) {
  DumpEvents events;
  parse(path_, events);
  head_ = events.head;
  records_ = read(nullptr, nullptr).slot;
}

StoreLayout DumpFile::layout() const {
  return StoreLayout(ChunkSize(head_.chunk_sectors));
}

LogEnd DumpFile::read(const RecordSink& record,
                      const RecordSink& behind) const {
  Order order(path_, layout());
  DumpEvents events;
  events.record = [&](const Entry& entry) {
    order.take_record(entry);
    if (record) record(entry.slot, entry.record);
  };
  events.behind = [&](const Entry& entry) {
    order.take_behind(entry);
    if (behind) behind(entry.slot, entry.record);
  };
  parse(path_, events);
  order.finish(events);
  LogEnd end;
  end.slot = order.records();
  end.offset = layout().slot_offset(end.slot);
  end.behind = order.behind();
  return end;
}

}  // namespace snapfs
